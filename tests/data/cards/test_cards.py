"""The cards of the workshop: each works on what it says is recorded, two on data that are there."""

import pathlib
import zlib

import numpy as np
import pytest

from tests.data.synthetic import config, episode
from wamjax.core.records import Episode
from wamjax.data.cards.card import Card, read_card
from wamjax.data.cards.layout import gather, spread, union
from wamjax.data.cards.prepared import Prepared, prepare
from wamjax.data.cards.transforms import DecodeZlib
from wamjax.data.episodes import read_episodes
from wamjax.data.sources.rlds import RldsSource
from wamjax.data.sources.source import Place, RawEpisode
from wamjax.data.writing.rlds import write_rlds

DIRECTORY = pathlib.Path(__file__).resolve().parents[3] / "data" / "cards"
CARDS = {path.stem: read_card(path) for path in sorted(DIRECTORY.glob("*.toml"))}
every_card = pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)

OPEN_X = (
    "fractal20220817_data", "kuka", "bridge_dataset", "bridge_orig", "taco_play", "jaco_play",
    "berkeley_cable_routing", "roboturk", "nyu_door_opening_surprising_effectiveness", "viola",
    "berkeley_autolab_ur5", "toto", "language_table", "stanford_hydra_dataset",
    "austin_buds_dataset", "nyu_franka_play_dataset", "furniture_bench_dataset",
    "ucsd_kitchen_dataset", "austin_sailor_dataset", "austin_sirius_dataset", "bc_z",
    "dlr_edan_shared_control", "iamlab_cmu_pickup_insert", "utaustin_mutex",
    "berkeley_fanuc_manipulation", "cmu_stretch", "fmb_dataset", "dobbe", "droid",
    "aloha_static_dataset", "aloha_mobile_dataset", "roboset", "rh20t", "gnm_dataset",
)  # fmt: skip
OTHERS = (
    "agibot_world_beta", "robomind_franka_3rgb", "robomind_ur_1rgb", "robomind_agilex_3rgb",
    "robotwin", "g1_inspire", "libero_spatial_no_noops", "libero_object_no_noops",
    "libero_goal_no_noops", "libero_10_no_noops", "tabletop",
)  # fmt: skip


def recorded(card: Card, length: int, number: float | None = None) -> RawEpisode:
    """An episode as the card's `raw` describes it; numbers in 0..1, or all `number`."""
    draw = np.random.default_rng(length)

    def rows(width: int) -> np.ndarray:
        values = (
            draw.random((length, width)) if number is None else np.full((length, width), number)
        )
        return values.astype(np.float32)

    widths = {step.key: step.width for step in card.transforms if isinstance(step, DecodeZlib)}
    steps: dict[str, np.ndarray | list[bytes]] = {}
    for key, width in card.raw.items():
        if width == "text":
            steps[key] = [b"do it"] * length
        elif width == "packed":
            steps[key] = [zlib.compress(row.astype("<f4").tobytes()) for row in rows(widths[key])]
        elif key == "observation/instruction":
            steps[key] = np.tile(np.pad([100, 111], (0, int(width) - 2)), (length, 1))
        else:
            steps[key] = rows(int(width))
    steps["is_last"] = np.arange(length) == length - 1
    return RawEpisode(Place(0, 0), length, steps, {})


def test_every_data_set_of_the_tables_has_a_card() -> None:
    for name in OPEN_X + OTHERS:
        cards = [card for card in CARDS.values() if card.describes(name)]
        assert len(cards) == (3 if name == "tabletop" else 1), name
        assert cards[0].describes(f"{name}_converted_externally_to_rlds")
    assert [stem for stem, card in CARDS.items() if card.name != stem] == []


@every_card
def test_a_card_says_where_it_knows_it_from(card: Card) -> None:
    assert card.sources
    assert card.citation
    assert card.cameras.roles
    text = " ".join(card.unverified)
    assert (card.licence is None) == ("states a licence" in text)
    if card.control_hz is None:
        assert "the rate" in text
    for sentence in (*card.defects, *card.unverified):
        assert sentence == sentence.strip().removesuffix(".")


@every_card
@pytest.mark.parametrize("length", [3, 4, 5, 11, 40])
def test_a_card_gives_what_its_layout_says(card: Card, length: int) -> None:
    source = recorded(card, length)
    try:
        ready = prepare(card, source)
    except ValueError:
        assert card.name == "gnm_dataset", "only this one needs more steps"
        assert length <= 3
        return
    steps = len(ready.kept)
    assert 0 < steps <= length
    assert ready.actions.shape == (steps, len(card.action.layout))
    assert ready.proprio.shape == (steps, len(card.state.layout))
    assert ready.actions.dtype == ready.proprio.dtype == np.float32
    assert (np.diff(ready.kept) > 0).all()
    assert ready.kept[0] >= 0
    assert ready.kept[-1] < length
    said = "do it" if card.instructions else ""
    if card.name == "language_table":
        said = "do"
    assert ready.texts == ([said] * steps,) * max(1, len(card.instructions))
    fractions = [dim.fraction for dim in card.action.layout]
    assert (np.abs(ready.actions[:, fractions] - 0.5) <= 0.5).all()
    # An action is lost at the marked end, unless the states on both sides of it say what it was.
    assert ready.action_ok[:-1].all()
    assert ready.action_ok[-1] == (length - 1 not in ready.kept and card.stride == 1)


@every_card
@pytest.mark.parametrize("number", [0.0, 1.0])
def test_an_open_gripper_is_one(card: Card, number: float) -> None:
    """All recorded numbers are `number`: 0, or 1."""
    expected = {
        ("open_is_1", 1.0): 1.0,
        ("open_is_1", 0.0): 0.0,
        ("closed_is_1", 1.0): 0.0,
        ("closed_is_1", 0.0): 1.0,
        ("closing_is_positive", 1.0): 0.0,
        ("closing_is_positive", 0.0): 1.0,
    }
    if (card.gripper, number) not in expected or (card.name == "droid" and number == 0.0):
        return  # no command, or nothing but idle steps
    if card.name in ("furniture_bench_dataset", "iamlab_cmu_pickup_insert") and number == 0.0:
        with pytest.raises(ValueError, match="norm 0"):
            prepare(card, recorded(card, 6, number))
        return
    ready = prepare(card, recorded(card, 6, number))
    fractions = [dim.fraction for dim in card.action.layout]
    assert any(fractions)
    assert (ready.actions[:, fractions] == expected[card.gripper, number]).all()


@pytest.mark.parametrize("name", ["aloha_static", "aloha_mobile"])
def test_every_fifth_step_of_aloha_has_the_last_of_five_commands(name: str) -> None:
    source = recorded(CARDS[name], 13)
    ready = prepare(CARDS[name], source)
    assert CARDS[name].hz == 10.0
    assert ready.kept.tolist() == [0, 5, 10]
    assert ready.action_ok.tolist() == [True, True, False]
    action = source.steps["action"]
    assert isinstance(action, np.ndarray)
    np.testing.assert_array_equal(ready.actions[:, :14], action[[4, 9, 12], :14])
    np.testing.assert_allclose(ready.actions[0, 14:], action[:5, 14:].mean(axis=0), rtol=1e-6)


def test_all_robots_share_one_layout() -> None:
    layouts = [card.action.layout for card in CARDS.values()]
    common, places = union(layouts)
    assert len(common) < sum(map(len, layouts)) / 3
    for card, where in zip(CARDS.values(), places, strict=True):
        actions = prepare(card, recorded(card, 12)).actions
        np.testing.assert_array_equal(gather(spread(actions, where, len(common)), where), actions)
    # What two one-armed robots mean by an open gripper is the same number.
    grippers = {
        int(where[card.action.normalise.index(False)])
        for card, where in zip(CARDS.values(), places, strict=True)
        if card.embodiment in ("franka", "widowx", "google_robot") and card.gripper != "unknown"
    }
    assert len(grippers) == 1


def read(card: Card, directory: pathlib.Path, split: str) -> list[tuple[RawEpisode, Prepared]]:
    source = RldsSource(directory, split)
    for key in card.cameras.roles.values():
        assert source.features[f"steps/{key}"].kind == "image"
    episodes = [item for item in source.scan() if isinstance(item, RawEpisode)]
    assert len(episodes) == len(source)
    return [(item, prepare(card, item)) for item in episodes]


@pytest.mark.parametrize("name", ["bridge_dataset", "bridge_orig"])
def test_bridge_actions_are_what_the_arm_did(name: str, bridge_directory: pathlib.Path) -> None:
    card = CARDS[name]
    did, told = [], []
    first = 1 if name == "bridge_orig" else 0
    for source, ready in read(card, bridge_directory, "train"):
        state, action = source.steps["observation/state"], source.steps["action"]
        assert isinstance(state, np.ndarray)
        assert isinstance(action, np.ndarray)
        assert ready.kept.tolist() == list(range(first, 9))
        assert ready.action_ok.all()
        np.testing.assert_array_equal(ready.actions[:, :6], np.diff(state[first:, :6], axis=0))
        np.testing.assert_array_equal(ready.proprio, state[first:-1])
        assert set(np.unique(ready.actions[:, 6])) <= {0.0, 1.0}
        assert all(ready.texts[0])
        did.append(ready.actions[:, :6])
        told.append(action[first:-1, :6])
    left, right = np.concatenate(did), np.concatenate(told)
    for dim in range(6):
        correlation = np.corrcoef(left[:, dim], right[:, dim])[0, 1]
        assert correlation > 0.6, (dim, correlation)


def test_the_tabletop_card_fits_the_simulators_episodes(tabletop: pathlib.Path) -> None:
    for source, ready in read(CARDS["tabletop"], tabletop, "train"):
        np.testing.assert_array_equal(ready.actions, source.steps["action"])
        np.testing.assert_array_equal(ready.proprio, source.steps["observation/state"])
        assert ready.kept.tolist() == list(range(source.length))
        assert ready.action_ok.tolist() == [True] * (source.length - 1) + [False]
        assert all(ready.texts[0])


def test_the_card_of_two_arms_fits_their_episodes(tmp_path: pathlib.Path) -> None:
    def two(length: int) -> Episode:
        one = episode(length, length)
        pictures = one.frames["primary"]
        return Episode(
            frames={"primary": pictures, "wrist_left": pictures, "wrist_right": pictures},
            proprio=np.concatenate([one.proprio, -one.proprio], axis=1).astype(np.float32),
            actions=np.concatenate([one.actions, -one.actions], axis=1),
            instruction=one.instruction, success=True, control_hz=10.0, metadata={},
        )  # fmt: skip

    directory = write_rlds(tmp_path, "tabletop", "1.0.0", [two(4), two(2)])
    for source, ready in read(CARDS["tabletop_bimanual"], directory, "train"):
        np.testing.assert_array_equal(ready.actions, source.steps["action"])


@pytest.mark.parametrize("name", ["bridge_dataset", "tabletop"])
def test_the_keys_of_a_card_are_those_of_the_loader(
    name: str, tabletop: pathlib.Path, request: pytest.FixtureRequest
) -> None:
    card = CARDS[name]
    known = {"tabletop": lambda: tabletop}
    known["bridge_dataset"] = lambda: request.getfixturevalue("bridge_directory")
    table = read_episodes(
        config(
            known[name](),
            cameras=(card.cameras.roles["primary"],),
            proprio_key=card.state.keys[0],
            action_key=card.action.keys[0],
            instruction_key=card.instruction,
            gripper_dim=card.action.normalise.index(False),
        )
    )
    assert table.camera_ok.all()
    assert table.actions.shape[1] == len(card.action.layout)
    assert all(table.texts)


def test_copies_in_another_split_fall_on_the_same_side(bridge_directory: pathlib.Path) -> None:
    tables = {
        split: read_episodes(config(bridge_directory, split=split, cameras=("image_0",)))
        for split in ("train", "val")
    }
    assert tables["train"].contents != tables["val"].contents
    assert sorted(tables["train"].contents) == sorted(tables["val"].contents)
    assert len(set(tables["train"].contents)) == 25


def test_the_last_action_of_a_cut_episode_is_real(bridge_directory: pathlib.Path) -> None:
    table = read_episodes(config(bridge_directory, cameras=("image_0",)))
    assert table.action_ok.all()
    first, last = table.starts[:-1], table.starts[1:] - 1
    assert abs(table.actions[first, :6]).max() < 1e-6
    assert abs(table.actions[last, :6]).mean() > 1e-3
    # The zero first action is true: the arm does not move from step 0 to step 1 either.
    moved = abs(table.proprio[first + 1, :3] - table.proprio[first, :3]).mean()
    later = abs(table.proprio[first + 2, :3] - table.proprio[first + 1, :3]).mean()
    assert moved < later / 5
