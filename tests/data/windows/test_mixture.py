"""Real data of three robots and a clip without actions in one mixture: who gets what."""

import dataclasses
import fractions

import numpy as np
import pytest

from tests.data.real_mixture import NAMES, place
from wamjax.core.errors import UserError
from wamjax.data import Loader, Mixture, Windows, compute_statistics
from wamjax.data.files.pictures import read_pictures
from wamjax.data.normalising.statistics import MixedStatistics, Statistics, from_json
from wamjax.data.windows.members import members_of, read_mixtures
from wamjax.data.windows.mixture import read_members
from wamjax.data.windows.seats import cards_in, seating
from wamjax.data.windows.shares import CYCLE

ROBOTS = {"bridge": 0, "droid_five": 1, "clip": 1, "g1": 2}


@pytest.fixture(scope="module")
def config(shared_data, tmp_path_factory):
    return place(shared_data, tmp_path_factory.mktemp("mixture"))


@pytest.fixture(scope="module")
def tables(config):
    return read_members(config)


@pytest.fixture(scope="module")
def mixture(config, tables):
    return Mixture(config, statistics_of(config, tables), tables)


def statistics_of(config, tables):
    members = members_of(config)
    return MixedStatistics({m.name: compute_statistics(m.config, tables[m.name]) for m in members})


def test_every_data_set_is_brought_to_the_common_rate(mixture, tables):
    assert [member.config.every for member in mixture.members] == [1, 1, 6, 3]
    g1 = tables["g1"]
    first = g1.source.episode(0)
    rows = slice(0, int(g1.starts[1]))
    np.testing.assert_array_equal(g1.recorded[rows], np.arange(0, first.length, 6))
    np.testing.assert_array_equal(g1.proprio[rows], first.steps["observation.state"][::6])
    # Absolute targets: what six steps lead to is the target of the last of them.
    whole = first.length // 6
    np.testing.assert_array_equal(g1.actions[:whole], first.steps["action"][5::6][:whole])
    assert not g1.action_ok[whole : int(g1.starts[1])].any()
    assert int(tables["clip"].starts[-1]) == -(-419 // 3)


def test_each_number_keeps_its_meaning(mixture):
    """An arm told in metres, the same for two robots, and a humanoid's joints beside it."""
    assert mixture.widths == (7 + 26, 7 + 26)
    owners = np.arange(4)
    first = mixture.starts[:-1]
    batch = mixture.batch(first)
    assert batch.embodiment.tolist() == [ROBOTS[name] for name in NAMES] == [0, 1, 2, 1]
    arm, joints = slice(0, 7), slice(7, 33)
    told = batch.action_mask.any(1)
    for number, (mine, others) in enumerate([(arm, joints), (arm, joints), (joints, arm)]):
        assert told[number, mine].all()
        assert not told[number, others].any()
    assert batch.has_action.tolist() == [True, True, True, False]
    assert not told[3].any()
    assert not batch.proprio_mask[3].any()
    for number, own in zip(owners, mixture.windows, strict=True):
        alone = own.batch(np.array([0]))
        places = mixture.action.places[number]
        np.testing.assert_array_equal(batch.actions[number][:, places], alone.actions[0])
        others = np.setdiff1d(np.arange(33), places)
        assert not batch.actions[number][:, others].any()


def test_cameras_stand_where_their_role_is(mixture):
    batch = mixture.batch(mixture.starts[:-1])
    assert batch.camera_mask.tolist() == [
        [True, True, False, False],
        [True, True, True, False],
        [False, False, False, True],
        [True, True, True, False],
    ]
    assert not batch.frames[~batch.camera_mask].any()
    humanoid = mixture.windows[2].episodes
    number = int(mixture.windows[2].index.episode[0])
    clip = humanoid.source.pictures(humanoid.places[number], humanoid.cameras)
    frames = read_pictures(clip[humanoid.cameras[0]], [0, 6, 12], 48)
    np.testing.assert_array_equal(batch.frames[2, 3], np.stack(frames))


def test_the_stream_has_the_shares_that_are_told(mixture):
    sizes = [
        share.weight * len(own) for share, own in zip(mixture.shares, mixture.windows, strict=True)
    ]
    for share, size in zip(mixture.shares, sizes, strict=True):
        assert share.exact == size / sum(sizes)
        assert abs(share.count - CYCLE * share.exact) < 1
    order = mixture.order()
    drawn = np.array([order[i] for i in range(4 * 4096)])
    owner = np.searchsorted(mixture.starts, drawn, side="right") - 1
    for number, share in enumerate(mixture.shares):
        part = (owner == number).mean()
        assert abs(part - float(share.exact)) < 4 * np.sqrt(float(share.exact) / len(drawn))
        # Every window of it comes once before any comes again.
        mine = drawn[owner == number][: len(mixture.windows[number])]
        assert len(set(mine.tolist())) == len(mine)
    assert "of 65536 examples" in mixture.told()[0]


def test_the_global_batch_does_not_depend_on_the_hosts(mixture):
    def batches(hosts, steps, start=0):
        loaders = [Loader(mixture, 8, host, hosts) for host in range(hosts)]
        for loader in loaders:
            loader.restore({"next_example": start * 8, "fingerprint": loader.fingerprint})
        out = [np.concatenate([next(loader).index for loader in loaders]) for _ in range(steps)]
        states = [loader.state()["next_example"] for loader in loaders]
        for loader in loaders:
            loader.close()
        return out, states

    whole, states = batches(1, 5)
    assert states == [40]
    for hosts in (2, 4):
        np.testing.assert_array_equal(batches(hosts, 5)[0], whole)
        np.testing.assert_array_equal(batches(hosts, 2, start=3)[0], whole[3:])


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"seed": 1}, "seed"),
        ({"cameras": ("primary", "wrist", "head")}, "cameras"),
        ({"chunk": 5}, r"members\.bridge\.config\.chunk: 4 there, 5 here"),
        ({"rate_hz": None}, r"members\.bridge\.config\.every: 1 there, absent here"),
    ],
)
def test_a_state_of_another_mixture_is_refused(mixture, config, tables, change, path):
    state = Loader(mixture, 4, 0, 1).state()
    other = dataclasses.replace(config, **change)
    read = read_members(other) if {*change} & {"cameras", "rate_hz"} else tables
    loader = Loader(Mixture(other, statistics_of(other, read), read), 4, 0, 1)
    with pytest.raises(UserError, match=path):
        loader.restore(state)


def test_a_changed_card_is_told_field_by_field(mixture, config, tmp_path):
    import pathlib
    import shutil

    cards = pathlib.Path(shutil.copytree(config.cards, tmp_path / "cards"))
    card = cards / "g1.toml"
    card.write_text(card.read_text().replace("control_hz = 30", "control_hz = 15"))
    other = dataclasses.replace(config, cards=str(cards))
    with pytest.raises(UserError, match=r"selection\.card\.control_hz: 30 there, 15"):
        Mixture(other, mixture.statistics)


def test_statistics_travel_with_the_weights(mixture):
    again = from_json(mixture.statistics.to_json())
    assert again == mixture.statistics
    assert isinstance(again, MixedStatistics)
    one = again.of("bridge")
    assert isinstance(one, Statistics)
    assert one.grippers == (6,)
    assert one.layouts is not None
    assert one.layouts["action"][0] == "right position m base delta [0]"
    assert again.of("clip").action.count == 0
    with pytest.raises(UserError, match="no statistics of 'kuka': choose one of bridge"):
        again.of("kuka")


def test_a_mixture_of_one_gives_that_data_set_s_windows(config, tmp_path):
    (tmp_path / "one.toml").write_text("[one]\nweights = { droid_five = 3 }\n")
    alone = dataclasses.replace(
        config, mixture="one", mixtures=str(tmp_path / "one.toml"), cameras=("wrist", "primary")
    )
    (member,) = members_of(alone)
    tables = read_members(alone)
    statistics = statistics_of(alone, tables)
    mixed = Mixture(alone, statistics, tables)
    own = Windows(member.config, statistics.of("droid_five"), tables["droid_five"])
    numbers = np.array([0, 5, -1])
    ours, theirs = mixed.batch(numbers), own.batch(numbers)
    for field in dataclasses.fields(theirs):
        if getattr(theirs, field.name) is not None:
            np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name))


def test_cards_in_the_statistics_seat_every_data_set_as_the_files_do(mixture, config):
    again = from_json(mixture.statistics.to_json())
    assert isinstance(again, MixedStatistics)
    assert seating(config, cards_in(again)).seats == mixture.seating.seats


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1", "has no table of weights"),
        ("[x]\nweights = {}", "has no data set"),
        ('[x]\nweights = { a = "1" }', "gives a the weight '1', which is no number"),
        ("[x]\nweights = { a = -0.5 }", "a weight that is not above 0"),
        ("[x]\nweights = { a = 1 }\ndirs = { b = 'c' }", "a directory of b, which has no weight"),
        ("[x]\nweights = { a = 1 }\nwieghts = 3", "unknown field 'wieghts'"),
        ("[x", "is not TOML"),
    ],
)
def test_files_that_hold_no_mixtures_are_refused(text, sentence, tmp_path):
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        read_mixtures(path)


def test_weights_are_exact(tmp_path):
    path = tmp_path / "m.toml"
    path.write_text("[x]\nweights = { a = 0.5409, b = 2 }")
    weights = read_mixtures(path)["x"]["weights"]
    assert weights == {"a": fractions.Fraction(5409, 10000), "b": 2}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mixture": "soup"}, "has no mixture 'soup': choose one of three_robots"),
        ({"root": "/nowhere"}, "/nowhere/bridge is not a directory: set data.root"),
        ({"cards": "/nowhere"}, r"bridge\.toml cannot be read"),
        ({"cameras": ("primary",)}, "g1 has none of the cameras primary"),
        ({"rate_hz": 7.0}, "bridge has 5 steps a second, which cannot be brought to 7"),
        ({"action_width": 20}, "33 numbers, which data.action_width = 20 cannot hold"),
    ],
)
def test_what_does_not_fit_is_refused(config, tables, change, sentence):
    def build(other):
        return Mixture(other, statistics_of(other, tables), tables)

    with pytest.raises(UserError, match=sentence):
        build(dataclasses.replace(config, **change))


def test_idle_windows_are_left_out_of_each_data_set(config, tables, mixture):
    given = dataclasses.replace(config, idle=0.1)
    some = Mixture(given, mixture.statistics, tables)
    for name, own, before, line in zip(
        NAMES, some.windows, mixture.windows, some.told(), strict=True
    ):
        assert len(own) + own.left_out == len(before)
        # A clip has no actions that could stand still.
        assert (own.left_out == 0) == (name == "clip")
        assert line.startswith(f"{name}: {len(own)} windows x ")
        assert line.endswith(f", {own.left_out} idle windows left out") == (name != "clip")
    # The natural size of a data set is what is left of it.
    assert [share.windows for share in some.shares] == [len(own) for own in some.windows]
    assert "idle" not in str(mixture.fingerprint())
    alone = Windows(
        some.members[1].config, mixture.statistics.of("droid_five"), tables["droid_five"]
    )
    first = some.starts[1]
    np.testing.assert_array_equal(
        some.batch(np.arange(first, first + 5)).frames[:, :3], alone.batch(np.arange(5)).frames
    )
