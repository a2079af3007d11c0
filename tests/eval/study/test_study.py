"""What a study may be, and which conditions follow from it."""

import dataclasses

import pytest

from tests.eval.study.made_up import arm, rewarded, study
from wamjax.eval.study import Arm, Data, Mode, Study


def test_runs_and_conditions_are_the_products_of_what_varies():
    two = (Data(name="clean", clean=8), Data(name="randomised", clean=0, randomised=8))
    found = study(data=two, checkpoints=(0.5, 1.0), domains=("source", "target"))
    assert len(list(found.runs)) == 3 * 2 * 2
    # Arms have 1, 1 and 2 modes.
    assert len(list(found.conditions)) == (1 + 1 + 2) * 2 * 2 * 2
    keys = [condition.key for condition in found.conditions]
    assert len({*keys}) == len(keys)
    labels = [condition.labelled(found) for condition in found.conditions]
    assert len({*labels}) == len(labels)


def test_a_label_tells_no_more_than_what_varies():
    plain = study()
    assert [c.labelled(plain) for c in plain.conditions] == [
        "direct",
        "cotrain",
        "joint own",
        "joint few",
    ]


def test_a_condition_is_compared_on_the_same_data_as_far_trained_in_the_same_domain():
    found = study(checkpoints=(0.5, 1.0), domains=("source", "target"))
    for condition in found.conditions:
        reference = found.reference(condition)
        assert reference is not None
        assert (reference.arm.name, reference.mode.name) == ("direct", "own")
        for field in ("data", "fraction", "domain"):
            assert getattr(reference, field) == getattr(condition, field)


def test_where_the_reference_is_not_trained_nothing_is_compared():
    two = (Data(name="clean", clean=8), Data(name="more", clean=16))
    arms = (dataclasses.replace(arm("direct"), data=("clean",)), arm("joint"))
    found = study(arms=arms, data=two)
    references = {c.key: found.reference(c) for c in found.conditions}
    assert references["joint/more/1/own/source"] is None
    assert references["joint/clean/1/own/source"] is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"against": "nobody"}, "there is no arm 'nobody'; arms: direct, cotrain, joint"),
        ({"name": "Made Up"}, "names a folder"),
        ({"seeds": (1, 1)}, "different seeds"),
        ({"seeds": ()}, "different seeds"),
        ({"checkpoints": (1.0, 0.5)}, "checkpoints must rise to 1"),
        ({"checkpoints": (0.5,)}, "checkpoints must rise to 1"),
        ({"checkpoints": (0.0, 1.0)}, "checkpoints must rise to 1"),
        ({"arms": (arm("direct"), arm("direct"))}, "different names"),
        ({"arms": (arm("direct", data=("none",)),)}, "that the study has not"),
    ],
)
def test_what_is_no_study_is_refused(change: dict, words: str):
    with pytest.raises(ValueError, match=words):
        study(**change)


def test_an_arm_that_goes_on_from_another_follows_it():
    direct, joint = arm("direct"), arm("joint")
    found = study(arms=(direct, joint, rewarded(direct)))
    assert found.chains(["direct", "joint", "direct_rl"]) == [("direct", "direct_rl"), ("joint",)]
    # One alone is a chain; what it goes on from is trained where it has not been.
    assert found.chains(["direct_rl"]) == [("direct_rl",)]
    starts = {run.name: found.start(run) for run in found.runs}
    assert starts["direct/clean/seed1"] is None
    assert starts["direct_rl/clean/seed1"].name == "direct/clean/seed1"
    with pytest.raises(ValueError, match="no arm before it"):
        study(arms=(rewarded(direct), direct))
    with pytest.raises(ValueError, match="need one another"):
        dataclasses.replace(rewarded(direct), after="")
    with pytest.raises(ValueError, match="need one another"):
        dataclasses.replace(joint, after="direct")


def test_two_modes_of_one_name_are_refused():
    with pytest.raises(ValueError, match="different names"):
        arm("joint", modes=(Mode(), Mode()))


def test_every_setting_of_a_study_is_documented():
    for kind in (Study, Arm, Data, Mode):
        names = [field.name for field in dataclasses.fields(kind)]
        missing = [name for name in names if name not in (kind.__doc__ or "")]
        assert not missing, (kind, missing)
    assert next(study().runs).name == "direct/clean/seed0"
