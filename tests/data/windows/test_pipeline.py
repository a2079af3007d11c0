"""The loader: what a batch holds, one endless order, exact resume, any number of hosts."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from tests.data.synthetic import SIZE, config, copy, episodes
from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.core.text import decode_text
from wamjax.data.episodes import Episodes, read_episodes
from wamjax.data.normalising.statistics import Statistics, compute_statistics
from wamjax.data.windows.order import shuffled
from wamjax.data.windows.pipeline import Loader, Windows, make_loader, ordered_batches


@pytest.fixture(scope="module")
def table(tabletop: pathlib.Path) -> Episodes:
    return read_episodes(config(tabletop))


@pytest.fixture(scope="module")
def statistics(tabletop: pathlib.Path, table: Episodes) -> Statistics:
    return compute_statistics(config(tabletop), table)


def _equal(one: Batch, other: Batch) -> None:
    jax.tree.map(np.testing.assert_array_equal, one, other)


def _take(loader: Loader, count: int) -> list[Batch]:
    return [next(loader) for _ in range(count)]


def test_a_batch_holds_what_was_recorded(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    settings = config(tabletop, part="all", history=2, future=2, frame_stride=3, chunk=5)
    windows = Windows(settings, statistics, table)
    batch = windows.batch(np.arange(len(windows)))
    made = list(episodes())
    place = 0
    for number, episode in enumerate(made):
        length = len(episode.actions)
        for t in range(length - 1):
            for view in range(2):
                times = np.clip([t - 3, t, t + 3, t + 6], 0, length - 1)
                told = batch.frames[place, view, :, 0, 0].tolist()
                assert told == [[number + 8, time + 8, view + 8] for time in times]
            inside = [t >= 3, True, t + 3 < length, t + 6 < length]
            assert batch.frame_mask[place].tolist() == inside
            real = min(5, length - 1 - t)
            assert batch.action_mask[place].all(axis=1).tolist() == [True] * real + [False] * (
                5 - real
            )
            raw = windows.action_normaliser.invert(batch.actions[place])
            np.testing.assert_allclose(raw[:real], episode.actions[t : t + real], atol=2e-6)
            np.testing.assert_allclose(
                raw[real:], np.repeat(episode.actions[-2:-1], 5 - real, 0), atol=2e-6
            )
            now = windows.proprio_normaliser.invert(batch.proprio[place])
            np.testing.assert_allclose(now, episode.proprio[t], atol=2e-5)
            assert decode_text(batch.text[place]) == episode.instruction
            place += 1
    assert place == len(windows)
    assert batch.camera_mask.all()
    assert batch.proprio_mask.all()
    assert batch.frames.dtype == np.uint8
    assert batch.actions.dtype == batch.proprio.dtype == np.float32
    previous, recorded = windows.previous_actions(np.arange(len(windows)))
    at_start = windows.index.row == windows.index.first
    np.testing.assert_array_equal(recorded, ~at_start)
    np.testing.assert_array_equal(previous[~at_start], batch.actions[:, 0][:-1][~at_start[1:]])


def test_past_actions_are_the_first_actions_of_earlier_windows(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    plain = Windows(config(tabletop, part="all"), statistics, table)
    windows = Windows(config(tabletop, part="all", past_actions=3), statistics, table)
    without, batch = (w.batch(np.arange(len(w))) for w in (plain, windows))
    assert without.past_actions is None
    _equal(without, batch.replace(past_actions=None, past_action_mask=None))
    since = windows.index.row - windows.index.first
    for place, back in enumerate((3, 2, 1)):
        there = since >= back
        np.testing.assert_array_equal(
            batch.past_action_mask[:, place], np.repeat(there[:, None], 7, axis=1)
        )
        earlier = np.flatnonzero(there) - back
        np.testing.assert_array_equal(batch.past_actions[there, place], batch.actions[earlier, 0])
    missing = windows.batch(np.array([-1]))
    assert not missing.past_action_mask.any()
    told = windows.fingerprint()["config"]
    assert told.pop("past_actions") == 3
    assert told == plain.fingerprint()["config"]


def test_a_value_is_the_discounted_reward_at_the_end(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    plain = Windows(config(tabletop, part="all"), statistics, table)
    windows = Windows(config(tabletop, part="all", value_discount=0.9), statistics, table)
    without, batch = (w.batch(np.arange(len(w))) for w in (plain, windows))
    assert without.value is None
    nothing = {"next_proprio": None, "next_proprio_mask": None, "value": None, "value_mask": None}
    _equal(without, batch.replace(**nothing))
    normalised = windows.proprio_normaliser.apply
    place = 0
    for episode in episodes():
        length = len(episode.actions)
        reward = np.zeros(length)
        reward[-1] = episode.success
        for t in range(length - 1):
            then = t + 8
            proprio = normalised(episode.proprio[min(then, length - 1)])
            np.testing.assert_allclose(batch.next_proprio[place], proprio, rtol=1e-5, atol=1e-6)
            assert batch.next_proprio_mask[place].all() == (then < length)
            # Beyond the end the world stays as it is.
            ahead = [0.9**k * r for k, r in enumerate(reward[min(then, length - 1) :])]
            np.testing.assert_allclose(batch.value[place], sum(ahead), rtol=1e-6)
            place += 1
    assert place == len(windows)
    assert batch.value_mask.all()
    missing = windows.batch(np.array([-1]))
    assert not missing.value_mask.any()
    assert not missing.next_proprio_mask.any()
    told = windows.fingerprint()["config"]
    assert told.pop("value_discount") == 0.9
    assert told == plain.fingerprint()["config"]


def test_an_episode_that_was_cut_short_has_no_value(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    assert table.ended.all()
    settings = config(tabletop, part="all", value_discount=0.9)
    one = dataclasses.replace(table, ended=np.arange(len(table)) != 4)
    windows = Windows(settings, statistics, one)
    known = windows.batch(np.arange(len(windows))).value_mask
    np.testing.assert_array_equal(known, windows.index.episode != 4)
    nowhere = dataclasses.replace(table, ended=np.zeros(len(table), bool))
    with pytest.raises(UserError, match=r"does not say where episodes end .* leave data.value"):
        Windows(settings, statistics, nowhere)


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"value_discount": 1.5}, r"in \(0, 1\], got 1.5"), ({"future": 0}, "and future is 0")],
)
def test_a_value_of_nothing_is_refused(
    tabletop: pathlib.Path, changes: dict[str, float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        config(tabletop, **({"value_discount": 0.99} | changes))


def test_every_window_once_an_epoch_in_a_new_order(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    loader = make_loader(config(tabletop), 1, statistics, episodes=table)
    count = loader.windows
    first, second = ([int(batch.index[0]) for batch in _take(loader, count)] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(count))
    assert first != second != sorted(second)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_resume_is_exact(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics, prefetch: int
) -> None:
    settings = config(tabletop, prefetch=prefetch)
    straight = make_loader(settings, 8, statistics, episodes=table)
    expected = _take(straight, 40)
    straight.close()
    first = make_loader(settings, 8, statistics, episodes=table)
    _take(first, 17)
    state = json.loads(json.dumps(first.state()))
    first.close()
    assert state["next_example"] == 17 * 8
    # A new process knows nothing: even the scan is done again.
    second = make_loader(settings, 8, compute_statistics(settings))
    second.restore(state)
    for ours, theirs in zip(_take(second, 23), expected[17:], strict=True):
        _equal(ours, theirs)
    assert second.state()["next_example"] == 40 * 8
    second.close()


@pytest.mark.parametrize("hosts", [2, 4])
def test_the_global_batch_does_not_depend_on_the_hosts(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics, hosts: int
) -> None:
    settings = config(tabletop)
    whole = make_loader(settings, 8, statistics, episodes=table)
    shares = [
        make_loader(settings, 8, statistics, host_index=h, host_count=hosts, episodes=table)
        for h in range(hosts)
    ]
    for step in range(25):
        if step == 12:  # four hosts go on from what one has saved
            for share in shares:
                share.restore(whole.state())
        expected = next(whole)
        parts = [next(share) for share in shares]
        together = jax.tree.map(lambda *rows: np.concatenate(rows), *parts)
        _equal(together, expected)
    assert {share.state()["next_example"] for share in shares} == {25 * 8}


def test_a_state_of_another_run_is_refused(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    state = make_loader(config(tabletop), 8, statistics, episodes=table).state()
    for changes, batch, told in (
        ({"seed": 1}, 8, "config.seed: 0 there, 1 here"),
        ({"chunk": 4}, 8, "config.chunk: 8 there, 4 here"),
        ({}, 4, "batch_size: 8 there, 4 here"),
    ):
        other = make_loader(config(tabletop, **changes), batch, statistics, episodes=table)
        with pytest.raises(UserError, match=told):
            other.restore(state)


def test_statistics_of_other_data_do_not_reach_a_loader(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    with pytest.raises(UserError, match="other data"):
        make_loader(config(tabletop, holdout=0.4), 8, statistics, episodes=table)


def test_ordered_batches_visit_each_window_once_and_pad_with_masks(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    windows = Windows(config(tabletop, part="heldout"), statistics, table)
    batches = list(ordered_batches(windows, 16))
    numbers = np.concatenate([batch.index for batch in batches])
    assert numbers[numbers >= 0].tolist() == list(range(len(windows)))
    assert {batch.frames.shape for batch in batches} == {(16, 2, 3, SIZE, SIZE, 3)}
    padded = batches[-1].index < 0
    assert padded.any()
    for name in ("camera_mask", "frame_mask", "action_mask", "proprio_mask"):
        assert not getattr(batches[-1], name)[padded].any()
        assert getattr(batches[-1], name)[~padded].any()
    few = np.concatenate([batch.index for batch in ordered_batches(windows, 3, limit=6)])
    assert len(set(few.tolist())) == 6


def test_parts_share_no_episode(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    parts = {
        part: set(Windows(config(tabletop, part=part), statistics, table).index.episode.tolist())
        for part in ("train", "heldout", "all")
    }
    assert not parts["train"] & parts["heldout"]
    assert parts["train"] | parts["heldout"] == parts["all"]


@pytest.mark.parametrize("cache", [0, 20 * SIZE * SIZE * 3 * 2])
def test_frames_are_the_same_with_and_without_room_to_keep_them(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics, cache: int
) -> None:
    full = Windows(config(tabletop), statistics, table)
    small = Windows(config(tabletop, cache_bytes=cache), statistics, table)
    assert small.frames.kept_rows < full.frames.kept_rows
    for ours, theirs in zip(ordered_batches(small, 32), ordered_batches(full, 32), strict=True):
        _equal(ours, theirs)


def test_frames_are_resized_and_text_is_cut(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    windows = Windows(config(tabletop, image_size=8, text_length=5), statistics, table)
    batch = windows.batch(np.array([0]))
    assert batch.frames.shape == (1, 2, 3, 8, 8, 3)
    assert decode_text(batch.text[0]) == "reach"


def test_widths_are_padded_and_masked(tabletop: pathlib.Path, table: Episodes) -> None:
    settings = config(tabletop, action_width=10, proprio_width=8)
    windows = Windows(settings, compute_statistics(settings, table), table)
    batch = windows.batch(np.arange(4))
    assert batch.actions.shape == (4, 8, 10)
    assert batch.proprio.shape == (4, 8)
    assert not batch.action_mask[..., 7:].any()
    assert batch.action_mask[:, 0, :7].all()
    assert not batch.proprio_mask[:, 7:].any()


def test_data_without_actions_and_proprio(tabletop: pathlib.Path) -> None:
    settings = config(
        tabletop, action_key=None, action_width=7, proprio_key=None, proprio_width=3,
        instruction_key=None, gripper_dim=None,
    )  # fmt: skip
    batch = next(make_loader(settings, 4, compute_statistics(settings)))
    assert not batch.has_action.any()
    assert not batch.proprio_mask.any()
    assert not batch.actions.any()
    assert not batch.has_text.any()
    assert batch.frame_mask[:, 1].all()


def test_a_key_that_does_not_exist_names_those_that_do(tabletop: pathlib.Path) -> None:
    with pytest.raises(UserError, match=r"data.cameras = 'front'.*observation/image"):
        read_episodes(config(tabletop, cameras=("front",)))
    with pytest.raises(UserError, match=r"data\.action_key"):
        read_episodes(config(tabletop, action_key="language_instruction"))
    with pytest.raises(UserError, match=r"data\.dir is not set"):
        read_episodes(config(pathlib.Path("x"), dir=""))


def test_a_batch_that_hosts_cannot_share_is_refused(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    with pytest.raises(UserError, match="cannot be cut among 3 hosts"):
        make_loader(config(tabletop), 8, statistics, host_count=3, episodes=table)


@pytest.mark.parametrize("small", [10**6, 0])
def test_both_shuffles_are_endless_permutations(small: int) -> None:
    stream = shuffled(5000, 3, small)
    first = [stream[i] for i in range(5000)]
    second = [stream[i] for i in range(5000, 10000)]
    assert sorted(first) == sorted(second) == list(range(5000))
    assert first != second
    assert [shuffled(5000, 4, small)[i] for i in range(20)] != first[:20]
    # Random access: far away and back.
    assert stream[10**9] == stream[10**9]
    assert [stream[i] for i in range(50)] == first[:50]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"chunk": 0}, "chunk must be at least 1"),
        ({"future": -1}, "future must not be negative"),
        ({"holdout": 1.0}, "holdout must be in"),
        ({"holdout": 0.0, "part": "heldout"}, "needs a holdout"),
        ({"cameras": ()}, "cameras"),
        ({"action_key": None}, "its width must be given"),
    ],
)
def test_values_that_make_no_sense_are_refused(changes: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        config(pathlib.Path("x"), **changes)


def test_training_data_need_no_tensorflow(tabletop: pathlib.Path, tmp_path: pathlib.Path) -> None:
    where = copy(tabletop, tmp_path / "data")
    program = (
        "import sys\n"
        "from wamjax.data import DataConfig, make_loader, statistics_for\n"
        f"c = DataConfig(dir={str(where)!r}, image_size=16)\n"
        "loader = make_loader(c, 4, statistics_for(c))\n"
        "next(loader)\n"
        "loader.close()\n"
        "sys.exit('tensorflow' in sys.modules or 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()


def test_a_sparse_memory_is_named_in_the_fingerprint_alone_where_there_is_one(
    tabletop: pathlib.Path, table: Episodes, statistics: Statistics
) -> None:
    """So that states of runs from before stay valid."""
    plain = Windows(config(tabletop, history=2), statistics, table)
    sparse = Windows(config(tabletop, history=2, history_stride=7), statistics, table)
    told = sparse.fingerprint()["config"]
    assert told.pop("history_stride") == 7
    assert told == plain.fingerprint()["config"]


def test_a_memory_without_a_stride_is_refused(tabletop: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="history_stride must be at least 1, got 0"):
        config(tabletop, history_stride=0)
