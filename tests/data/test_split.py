import numpy as np
import pytest

from wamjax.data.split import members, position, shows_actions

CONTENTS = [f"{number:032x}" for number in range(4000)]


def test_parts_are_a_partition_of_about_the_share_asked_for() -> None:
    train = members(CONTENTS, 0.2, "train")
    heldout = members(CONTENTS, 0.2, "heldout")
    assert (train ^ heldout).all()
    assert heldout.mean() == pytest.approx(0.2, abs=0.02)
    assert members(CONTENTS, 0.0, "train").all()
    assert members(CONTENTS, 0.2, "all").all()


def test_the_side_depends_on_the_content_alone() -> None:
    order = np.random.default_rng(0).permutation(len(CONTENTS))
    whole = members(CONTENTS, 0.3, "heldout")
    mixed = members([CONTENTS[i] for i in order], 0.3, "heldout")
    np.testing.assert_array_equal(mixed, whole[order])
    np.testing.assert_array_equal(members(CONTENTS[:7], 0.3, "heldout"), whole[:7])


def test_a_larger_share_only_adds() -> None:
    assert members(CONTENTS, 0.4, "heldout")[members(CONTENTS, 0.1, "heldout")].all()
    assert all(0 <= position(content) < 1 for content in CONTENTS)


def test_of_the_training_episodes_a_share_shows_its_actions_and_a_larger_one_only_adds() -> None:
    train = members(CONTENTS, 0.2, "train")
    shown = [
        np.array([shows_actions(content, 0.2, share) for content in CONTENTS])
        for share in (0.125, 0.5, 1.0)
    ]
    assert all(these[~train].all() for these in shown)
    # Independent of which are held out.
    assert [these[train].mean() for these in shown] == pytest.approx([0.125, 0.5, 1.0], abs=0.02)
    assert shown[1][shown[0]].all()
