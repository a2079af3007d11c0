"""Windows in which nothing moves: the definition walked step by step, and what it leaves alone."""

import dataclasses
import pathlib
import random
import types
from typing import Any

import numpy as np
import pytest

from tests.data.synthetic import config, episodes
from wamjax.core.errors import UserError
from wamjax.core.records import Episode
from wamjax.data import (
    DataConfig,
    Episodes,
    Loader,
    Statistics,
    Windows,
    compute_statistics,
    read_episodes,
    write_rlds,
)
from wamjax.data.cards.layout import Layout, parse
from wamjax.data.normalising.statistics import data_fingerprint
from wamjax.data.windows.idle import moving_windows
from wamjax.data.windows.windows import Plan, action_rows, make_index

ROOT = pathlib.Path(__file__).resolve().parents[3]
CARD = str(ROOT / "data" / "cards" / "tabletop.toml")
LAYOUT = parse(
    [
        "right position m base delta",
        "right rotation rad base delta quaternion_wxyz 4",
        "left position m/s base velocity",
        "right joint rad absolute",
        "right gripper 1 absolute",
        "left gripper m absolute",
    ]
)
REST = (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, None, None, None)
Q01, Q99 = (
    (-0.5, 0.0, -1.0, -1.0, -1.0, 0.0, -3.0, 0.4, 0.0),
    (0.5, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.6, 0.1),
)
DRAWS = 400


def span(dim: int) -> float:
    """How far a number usually goes; an arm's fraction of a gripper from shut to open."""
    return 1.0 if dim == 7 else Q99[dim] - Q01[dim]


def still(action: list[float], held: list[float], idle: float) -> bool:
    """Whether an action does nothing, where another one was held before the window."""
    for dim, rest in enumerate(REST):
        origin = held[dim] if rest is None else rest
        if abs(action[dim] - origin) > max(idle * span(dim), 1e-6):
            return False
    return True


def kept(actions: list[list[float]], ok: list[bool], t: int, chunk: int, idle: float) -> bool:
    """Whether a window is kept, its chunk walked action by action."""
    real = [step for step in range(t, t + chunk) if step < len(ok) and ok[step]]
    if not real:
        return True
    held = actions[t - 1] if t > 0 and ok[t - 1] else actions[real[0]]
    return not all(still(actions[step], held, idle) for step in real)


def drawn(draw: random.Random, idle: float, length: int) -> list[list[float]]:
    """Actions that stand still most of the time, else move by about what is allowed."""
    now, rows = [0.3, 0.5, 0.05], []
    for _ in range(length):
        row = []
        for dim, rest in enumerate(REST):
            move = 0.0
            if draw.random() < 0.08:
                move = draw.choice((0.5, 0.999, 1.001, 3.0)) * idle * span(dim)
            if draw.random() < 0.02:
                move = draw.choice((5e-7, 2e-6))
            move *= draw.choice((-1, 1))
            if rest is None:
                now[dim - 6] += move
                row.append(now[dim - 6])
            else:
                row.append(rest + move)
        rows.append([float(np.float32(value)) for value in row])
    return rows


def table(runs: list[list[list[float]]], oks: list[list[bool]], layout: Layout) -> Any:
    card = types.SimpleNamespace(action=types.SimpleNamespace(layout=layout))
    return types.SimpleNamespace(
        actions=np.array([row for run in runs for row in run], np.float32),
        action_ok=np.array([flag for ok in oks for flag in ok]),
        starts=np.concatenate([[0], np.cumsum([len(ok) for ok in oks])]).astype(np.int64),
        card=card,
    )


STATISTICS: Any = types.SimpleNamespace(executed=types.SimpleNamespace(q01=Q01, q99=Q99))


def test_every_window_is_kept_as_the_definition_says() -> None:
    counts = [0, 0]
    for seed in range(DRAWS):
        draw = random.Random(seed)
        idle = draw.choice((0.0, 0.01, 0.05, 0.3))
        plan = Plan(1, draw.randint(0, 2), draw.randint(1, 3), draw.randint(1, 9))
        lengths = [draw.randint(1, 20) for _ in range(4)]
        runs = [drawn(draw, idle, length) for length in lengths]
        oks = [[draw.random() < 0.9 for _ in range(length)] for length in lengths]
        oks[3] = [False] * lengths[3]
        made = table(runs, oks, LAYOUT)
        index = make_index(made.starts, made.action_ok, np.ones(4, bool), plan)
        found = moving_windows(index, plan, made, STATISTICS, idle)
        wanted = [
            kept(runs[e], oks[e], row - int(made.starts[e]), plan.chunk, idle)
            for row, e in zip(index.row.tolist(), index.episode.tolist(), strict=True)
        ]
        assert found.tolist() == wanted, seed
        assert found[index.episode == 3].all()
        counts = [counts[value] + wanted.count(bool(value)) for value in (0, 1)]
        left = index.only(found)
        for field in dataclasses.fields(left):
            np.testing.assert_array_equal(
                getattr(left, field.name), getattr(index, field.name)[found]
            )
    assert min(counts) > 2000


def test_the_chunk_s_own_actions_decide_not_those_repeated_behind_the_end() -> None:
    """The last recorded action moves; the windows before it keep it, and there is none behind."""
    rows = [[*(r or 0.0 for r in REST)] for _ in range(6)]
    rows[5][0] = 1.0
    made = table([rows], [[True] * 6], LAYOUT)
    plan = Plan(1, 0, 1, 3)
    index = make_index(made.starts, made.action_ok, np.ones(1, bool), plan)
    found = moving_windows(index, plan, made, STATISTICS, 0.01)
    _, mask = action_rows(index, np.arange(6), plan, made.action_ok)
    assert found.tolist() == [False, False, False, True, True, True]
    assert mask.sum(1).tolist() == [3, 3, 3, 3, 2, 1]


def resting() -> list[Episode]:
    """The made-up episodes; the first half of each stands still with the gripper open."""

    def rest(one: Episode) -> Episode:
        actions = one.actions.copy()
        actions[: len(actions) // 2] = [0, 0, 0, 0, 0, 0, 1]
        return dataclasses.replace(one, actions=actions)

    return [rest(one) for one in episodes()]


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("half")
    return write_rlds(out, "half", "1.0.0", resting(), shard_episodes=4)


def given(directory: pathlib.Path, **changes: Any) -> DataConfig:
    return config(directory, **({"card": CARD, "cameras": ("primary",), "chunk": 3} | changes))


def read(settings: DataConfig) -> tuple[Episodes, Statistics]:
    scanned = read_episodes(settings)
    return scanned, compute_statistics(settings, scanned)


def test_without_the_setting_all_is_as_it_was(half) -> None:
    scanned, statistics = read(given(half))
    plain = Windows(given(half), statistics, scanned)
    assert plain.left_out == 0
    assert plain.told() == []
    told = plain.fingerprint()
    assert "idle" not in told["config"]
    some = Windows(given(half, idle=0.01), statistics, scanned)
    assert some.fingerprint()["config"] == {**told["config"], "idle": 0.01}
    # Stillness that is exact is a setting, too.
    exact = Windows(given(half, idle=0.0), statistics, scanned)
    assert exact.fingerprint()["config"] == {**told["config"], "idle": 0.0}
    assert data_fingerprint(scanned, given(half, idle=0.01)) == statistics.fingerprint
    assert compute_statistics(given(half, idle=0.01), scanned) == statistics


def test_what_stands_still_is_in_no_batch_and_all_else_is_as_before(half) -> None:
    scanned, statistics = read(given(half))
    plain = Windows(given(half), statistics, scanned)
    some = Windows(given(half, idle=0.01), statistics, scanned)
    assert some.told() == [
        f"{len(some)} windows; {some.left_out} in which nothing moves are left out "
        "(data.idle = 0.01)"
    ]
    assert len(some) + some.left_out == len(plain)
    gone = set(plain.index.row.tolist()) - set(some.index.row.tolist())
    # Of T steps the first T // 2 stand still; the chunk of 3 must lie among them.
    expected = {
        int(start) + t
        for start, length, held in zip(
            scanned.starts, scanned.lengths, ~np.isin(np.arange(14), plain.index.episode)
        )
        if not held
        for t in range(length - 1)
        if min(t + 3, length - 1) <= length // 2
    }
    assert gone == expected
    places = np.searchsorted(plain.index.row, some.index.row)
    ours, theirs = some.batch(np.arange(len(some))), plain.batch(places)
    for field in dataclasses.fields(ours):
        if field.name != "index":
            np.testing.assert_array_equal(getattr(ours, field.name), getattr(theirs, field.name))


def test_a_state_of_a_run_without_it_is_refused(half) -> None:
    scanned, statistics = read(given(half))
    plain, some = (
        Loader(Windows(given(half, idle=idle), statistics, scanned), 2, 0, 1)
        for idle in (None, 0.01)
    )
    with pytest.raises(UserError, match=r"config\.idle: absent there, 0\.01 here"):
        some.restore(plain.state())


@pytest.mark.parametrize("idle", [-0.1, 1.0])
def test_a_share_that_is_none_is_refused(half, idle) -> None:
    with pytest.raises(ValueError, match=r"idle must be none or in \[0, 1\)"):
        given(half, idle=idle)


def test_without_a_card_it_is_refused(half) -> None:
    with pytest.raises(ValueError, match="idle needs to know what the numbers mean: give card"):
        given(half, idle=0.01, card="")
    keys = given(half, card="", cameras=("image",))
    scanned, statistics = read(keys)
    windows = Windows(keys, statistics, scanned)
    with pytest.raises(UserError, match=r"needs to know what the numbers mean: give data\.card\.$"):
        moving_windows(windows.index, windows.plan, scanned, statistics, 0.01)


def test_if_nothing_is_left_one_sentence_says_so(tmp_path) -> None:
    nothing = (dataclasses.replace(e, actions=np.zeros_like(e.actions)) for e in episodes())
    settings = given(write_rlds(tmp_path, "rest", "1.0.0", nothing), idle=0.01)
    scanned, statistics = read(settings)
    said = r"^Nothing moves in any of the \d+ windows of part 'train' of .*0\.01\): lower it\.$"
    with pytest.raises(UserError, match=said):
        Windows(settings, statistics, scanned)


def test_actions_told_relative_to_states_are_looked_at_as_recorded(half) -> None:
    """The same windows are idle, though the relative numbers are others and spread otherwise."""
    card = str(ROOT / "data" / "cards" / "tabletop_ee_absolute.toml")
    kept_rows = []
    for relative in (False, True):
        settings = given(half, card=card, relative=relative, idle=0.2)
        windows = Windows(settings, *read(settings)[::-1])
        assert windows.left_out
        kept_rows.append(windows.index.row.tolist())
    assert kept_rows[0] == kept_rows[1]
