"""The table of results: exact keys, exact counts, resumed without a difference."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.eval.point_world import POLICY, REACH, WEIGHTS, PointEnv, variants, worlds
from wamjax.core.errors import UserError
from wamjax.eval.evaluate import PATH_POINTS, Facts, episodes_of, evaluate
from wamjax.eval.latency import latency
from wamjax.eval.programs import Programs
from wamjax.eval.statistics import mcnemar, wilson
from wamjax.eval.tally import summary
from wamjax.eval.worlds import AXES, BONUS, Worlds
from wamjax.policy import random_policy, still_policy

FACTS = Facts(parameters=12, train_seconds=3.5, train_flops=1e9, manifest_sha256="ab" * 32)
LIMIT = np.ones(2, np.float32)
POLICIES = {
    "trained": (POLICY, WEIGHTS),
    "random": random_policy(-LIMIT, LIMIT, chunk=4, replan=3),
    "still": still_policy(width=2, gripper_dim=None, chunk=4, replan=3),
}


def run(folder, policies=POLICIES, seed=1):
    tasks = {"reach": worlds(), "push": worlds()}
    return evaluate(policies, tasks, facts=FACTS, seed=seed, directory=folder, batch=16)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eval")
    return folder, run(folder)


def test_the_schema_is_exact(done):
    folder, results = done
    assert json.loads((folder / "results.json").read_text()) == results
    assert set(results) >= {
        *("policies", "manifest_sha256", "seed", "device", "versions", "parameters"),
        *("train_seconds", "train_flops", "ms_per_chunk", "env_steps_per_second"),
    }
    assert list(results["policies"]) == ["trained", "random", "still"]
    for policy in results["policies"].values():
        assert list(policy) == ["reach", "push"]
        for task in policy.values():
            assert {"clean", "axes", "mean_with_clean", "mean_without_clean"} <= set(task)
            assert tuple(task["axes"]) == AXES
            for cell in (task["clean"], *task["axes"].values()):
                assert list(cell) == ["successes", "episodes", "rate", "wilson95"]
                assert cell["episodes"] == 5
                assert cell["rate"] == cell["successes"] / 5
                assert tuple(cell["wilson95"]) == wilson(cell["successes"], 5)
            rates = [cell["rate"] for cell in task["axes"].values()]
            assert task["mean_without_clean"] == pytest.approx(np.mean(rates))
            assert task["mean_with_clean"] == pytest.approx(
                np.mean([*rates, task["clean"]["rate"]])
            )
    for name in ("ms_per_chunk", "env_steps_per_second"):
        assert results[name] > 0


def test_paths_end_where_the_task_was_solved(tmp_path):
    tasks = {"reach": worlds()}
    mine = {"trained": POLICIES["trained"]}
    programs = Programs(mine, batch=16, keep=False, track=lambda env, state: state.at)
    evaluate(mine, tasks, facts=FACTS, seed=1, directory=tmp_path, programs=programs)
    rows = episodes_of(tmp_path, "trained", "reach")
    starts = jax.vmap(PointEnv().reset_variant)(tasks["reach"].variants)
    for world, row in enumerate(rows):
        if row["diverged"]:
            assert row["path"] is None
            continue
        path = np.array(row["path"])
        assert path.shape == (PATH_POINTS, 2)
        np.testing.assert_allclose(path[0] / 1000, starts.at[world], atol=1e-3)
        gap = np.linalg.norm(path[-1] / 1000 - starts.goal[world])
        if row["success"]:
            assert gap < REACH + 1e-3
        else:
            np.testing.assert_allclose(gap, row["distance"], atol=2e-3)
    assert any(row["success"] for row in rows)


def test_the_counts_are_those_of_the_episode_log(done):
    folder, results = done
    rows = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    assert len(rows) == 3 * 2 * 40
    assert len({(r["policy"], r["task"], r["axis"], r["seed"]) for r in rows}) == len(rows)
    for name, tasks in results["policies"].items():
        for task, table in tasks.items():
            records = episodes_of(folder, name, task)
            assert [{"policy": name, "task": task, **r} for r in records] == [
                r for r in rows if (r["policy"], r["task"]) == (name, task)
            ]
            for axis, cell in (("clean", table["clean"]), *table["axes"].items()):
                mine = [
                    r for r in rows if (r["policy"], r["task"], r["axis"]) == (name, task, axis)
                ]
                assert cell["successes"] == sum(r["success"] for r in mine)
    assert results["policies"]["trained"]["reach"]["mean_with_clean"] > 0


def test_comparisons_are_paired_on_the_worlds(done):
    folder, results = done
    rows = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]

    def column(policy, axis):
        chosen = [
            r for r in rows if r["policy"] == policy and r["task"] == "reach" and r["axis"] == axis
        ]
        return np.array([r["success"] for r in sorted(chosen, key=lambda r: r["seed"])])

    for other in ("random", "still"):
        table = results["comparisons"][other]["reach"]
        assert tuple(table) == ("clean", *AXES)
        for axis, cell in table.items():
            first, second = column("trained", axis), column(other, axis)
            assert cell["p_mcnemar"] == mcnemar(first, second)
            assert cell["p_holm"] >= cell["p_mcnemar"]
            assert cell["difference"] == pytest.approx(first.mean() - second.mean())


def test_an_interrupted_evaluation_goes_on_and_other_weights_start_anew(done, monkeypatch):
    folder, results = done
    parts = sorted((folder / "parts").iterdir())
    assert [p.name for p in parts[:2]] == ["random.push.json", "random.reach.json"]
    before = {path: path.stat().st_mtime_ns for path in parts}
    (folder / "parts" / "still.push.json").unlink()
    again = run(folder)
    assert again["policies"] == results["policies"]
    kept = [path for path in parts if path.stat().st_mtime_ns == before[path]]
    assert len(kept) == 5
    changed = {**POLICIES, "trained": (POLICY, {**WEIGHTS, "gain": jnp.float32(-1.0)})}
    worse = run(folder, changed)
    assert worse["policies"]["trained"] != results["policies"]["trained"]
    assert worse["policies"]["random"] == results["policies"]["random"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_axes_are_those_of_the_simulator():
    # Imported here because brax, on its first import, uses packages that warn.
    from wamjax.sim.axes import AXIS_NAMES, BONUS_AXES

    assert AXES == AXIS_NAMES
    assert tuple(BONUS_AXES) == BONUS


def test_a_task_without_some_axis_says_so_by_leaving_it_out():
    rows = [{"axis": "clean", "success": True}, {"axis": "light", "success": False}]
    table = summary(rows)
    assert list(table["axes"]) == ["light"]
    assert (table["mean_with_clean"], table["mean_without_clean"]) == (0.5, 0.0)
    assert summary(rows[:1])["mean_without_clean"] is None


def test_severities_and_sub_axes_share_out_an_axis():
    rng = np.random.default_rng(0)
    rows = [
        {
            "axis": axis,
            "severity": level,
            "sub_axis": sub,
            "success": bool(rng.random() < 0.6),
            "mode": None if level == 1 else f"way {level % 2}",
        }
        for axis in (*AXES, *BONUS)
        for level in range(1, 6)
        for sub in ("a", "b")
        for _ in range(3)
    ]
    table = summary(rows)
    assert tuple(table["axes"]) == AXES
    assert tuple(table["bonus"]) == BONUS
    for axis, cell in {**table["axes"], **table["bonus"]}.items():
        for parts in (table["severities"][axis], table["sub_axes"][axis]):
            assert sum(part["successes"] for part in parts.values()) == cell["successes"]
            assert sum(part["episodes"] for part in parts.values()) == cell["episodes"]
    # The bonus counts in no total.
    assert sum(cell["episodes"] for cell in table["by_severity"].values()) == 7 * 5 * 2 * 3
    assert sum(table["modes"].values()) == sum(r["success"] and r["mode"] is not None for r in rows)


def test_what_cannot_be_evaluated_is_refused(tmp_path):
    with pytest.raises(UserError, match="trained"):
        evaluate({}, {}, facts=FACTS, seed=0, directory=tmp_path)
    for axes, rows in (((), ()), (("clean",), ()), (("sound",), ({},))):
        with pytest.raises(UserError):
            Worlds(env=PointEnv(), variants=variants([0]), axes=axes, rows=rows, horizon=3)
    assert not list(tmp_path.iterdir())


def test_policies_share_programs_where_they_can():
    programs = Programs(
        {**POLICIES, "slow": still_policy(width=2, gripper_dim=None, chunk=4, replan=2)}, batch=16
    )
    place = worlds(1)
    told = []
    runners = {name: programs.find(name, "reach", place, told.append) for name in POLICIES}
    assert len({id(runner.rollout) for runner in runners.values()}) == 1
    assert [runner.blind for runner in runners.values()] == [False, True, True]
    slow = programs.find("slow", "reach", place, told.append)
    assert slow.rollout is not runners["still"].rollout
    assert not slow.blind
    assert len(told) == 4


def test_other_weights_of_the_same_policies_compile_nothing(tmp_path):
    place = worlds(1)
    other = {"trained": (POLICY, jax.tree.map(lambda leaf: -leaf, WEIGHTS))}
    first = Programs({"trained": (POLICY, WEIGHTS)}, batch=16)
    told = []
    mine = first.find("trained", "reach", place, told.append)
    theirs = first.playing(other).find("trained", "reach", place, told.append)
    assert len(told) == 2
    assert mine.rollout is theirs.rollout
    key = jax.random.key(0)
    got = theirs(place, key, lambda done: None)
    want = Programs(other, batch=16).find("trained", "reach", place)(place, key, lambda done: None)
    np.testing.assert_array_equal(got.distance, want.distance)
    assert not np.array_equal(got.distance, mine(place, key, lambda done: None).distance)


def test_latency_counts_calls_and_orders_quantiles():
    calls = []
    found = latency(lambda x: calls.append(x), 3, warmup=2, repeats=7)
    assert calls == [3] * 9
    assert found.repeats == 7
    assert 0 <= found.p50_ms <= found.p95_ms
