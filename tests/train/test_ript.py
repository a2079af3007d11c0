"""The loop of RL after imitation on a bandit: reward rises, resume is exact, masks are nothing."""

import dataclasses
import io
import json
import os
import signal
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.core.config import from_json, to_json
from wamjax.core.errors import UserError
from wamjax.core.tree import weights_sha256
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.experience import Collected, Experience
from wamjax.train.metrics import read_metrics
from wamjax.train.reinforce import informative, leave_one_out
from wamjax.train.ript import reward
from wamjax.train.ript_config import RiptConfig
from wamjax.train.ript_update import make_update, minibatch
from wamjax.train.stages import Stage
from wamjax.train.state import TrainState, begin_stage, plan_stage

G, K, SPREAD = 8, 8, 0.3
TARGET = jnp.array([0.6, -0.5])
ONE = jax.devices()[:1]
WEIGHTS = {"mean": np.zeros(2, np.float32), "frozen": np.ones(2, np.float32)}
RIPT = RiptConfig(
    start="there",
    groups=G,
    rollouts=K,
    iterations=12,
    minibatches=3,
    learning_rate=0.05,
    save_every=4,
    evaluate_every=6,
    ema=0.5,
    clip_low=0.2,
    clip_high=0.2,
    train=("mean",),
)


class Bandit:
    """One action of two numbers; reward where it lands near the target."""

    def init(self, key: jax.Array) -> Any:
        zeros = nn.LogicallyPartitioned(jnp.zeros(2), names=("action",))
        return {"mean": zeros, "frozen": zeros}

    def loss(self, params: Any, batch: Any, key: jax.Array, objective: str) -> Any:
        raise AssertionError("RL has no loss over batches")


def log_probs(params: Any, seen: Any, key: Any, drawn: Any) -> Any:
    mean = params["mean"] + 0.0 * params["frozen"] + seen
    return (-0.5 * jnp.square((drawn - mean[:, None, None]) / SPREAD)).sum(-1)


@jax.jit
def play(params: Any, iteration: Any) -> tuple[Experience, Any]:
    keys = jax.random.split(jax.random.fold_in(jax.random.key(7), iteration), G * K)
    seen = jnp.repeat(0.1 * jax.random.normal(keys[0], (G, 2)), K, axis=0)
    noise = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys)
    drawn = (params["mean"] + seen + SPREAD * noise)[:, None, None]
    near = jnp.linalg.norm(drawn[:, 0, 0] - TARGET, axis=-1) < 0.45
    rewards = near.reshape(G, K).astype(jnp.float32)
    mask = jnp.repeat(informative(rewards), K)
    data = Experience(
        seen=seen,
        keys=jax.vmap(jax.random.key_data)(keys),
        drawn=drawn,
        log_probs=log_probs(params, seen, None, drawn),
        advantage=leave_one_out(rewards).reshape(-1),
        mask=mask[:, None, None],
    )
    return data, rewards.mean()


def collect(params: Any, iteration: int) -> Collected:
    data, mean = play(params, iteration)
    return Collected(experience=jax.device_get(data), numbers={"reward": float(mean)})


def evaluate(params: Any, step: int) -> dict[str, float]:
    return {"success/bandit": float(-np.linalg.norm(np.asarray(params["mean"]) - TARGET))}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    name: str = "bandit"
    ript: RiptConfig = RIPT
    mesh: MeshConfig = MeshConfig()


def go(workdir: Any, ript: RiptConfig = RIPT, **given: Any) -> tuple[dict[str, Any], str]:
    stream = io.StringIO()
    parts: dict[str, Any] = {
        "system": Bandit(),
        "weights": WEIGHTS,
        "statistics": {"action": {"mean": [0.0]}},
        "collect": collect,
        "log_probs": log_probs,
        "evaluate": evaluate,
        "devices": ONE,
        "stream": stream,
    }
    return reward(Run(ript=ript), workdir, **{**parts, **given}), stream.getvalue()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    workdir = tmp_path_factory.mktemp("finished")
    final, said = go(workdir)
    return workdir, final, said


def test_reward_rises(finished: Any):
    rows = [row for row in read_metrics(finished[0]) if "reward" in row]
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert rows[-1]["reward"] > rows[0]["reward"] + 0.3
    judged = [row for row in read_metrics(finished[0]) if "success/bandit" in row]
    assert [row["step"] for row in judged] == [0, 6, 12]
    assert judged[-1]["success/bandit"] > judged[0]["success/bandit"] + 0.3


def test_a_run_leaves_what_it_promises(finished: Any):
    workdir, final, _ = finished
    assert json.loads((workdir / "final.json").read_text()) == final
    assert final["step"] == 12
    assert final["trained_parameters"] == {"ript": 2}
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == ["12", "8"]
    _, statistics, weights, step = load_for_inference(workdir)
    assert (statistics, step) == ({"action": {"mean": [0.0]}}, 12)
    assert weights_sha256(weights) == final["weights_sha256"]
    np.testing.assert_array_equal(weights["frozen"], WEIGHTS["frozen"])
    wanted = {"loss", "clipped", "kl", "ratio", "grad_norm", "collect_seconds", "update_seconds"}
    assert wanted <= read_metrics(workdir)[1].keys()


def test_resumed_after_sigterm_it_ends_like_the_uninterrupted_run(finished: Any, tmp_path: Any):
    def stopped(params: Any, iteration: int) -> Collected:
        if iteration == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return collect(params, iteration)

    short, said = go(tmp_path, collect=stopped)
    assert short == {"finished": False, "step": 6}
    assert "the same command goes on" in said
    final, said = go(tmp_path)
    assert "goes on from iteration 6 of 12" in said
    assert final["state_sha256"] == finished[1]["state_sha256"]
    steps = [row["step"] for row in read_metrics(tmp_path) if "reward" in row]
    assert steps == list(range(1, 13))


def test_a_finished_run_does_nothing_more_and_another_is_refused(finished: Any):
    workdir, final, _ = finished
    again, said = go(workdir, collect=None)
    assert again == final
    assert "nothing to do" in said
    with pytest.raises(UserError, match=r"ript\.learning_rate"):
        go(workdir, dataclasses.replace(RIPT, learning_rate=0.1))


def test_a_number_that_is_not_finite_ends_the_run(tmp_path: Any):
    def broken(params: Any, iteration: int) -> Collected:
        out = collect(params, iteration)
        data = out.experience.replace(log_probs=out.experience.log_probs * np.nan)
        return dataclasses.replace(out, experience=data)

    with pytest.raises(UserError, match=r"lower ript\.learning_rate"):
        go(tmp_path, collect=broken)


@pytest.fixture(scope="module")
def update() -> Any:
    config = dataclasses.replace(RIPT, minibatches=1)
    stage = Stage(name="ript", start=0, end=100, objective="ript", train=RIPT.train)
    boxed = jax.eval_shape(Bandit().init, jax.random.key(0))
    plan = plan_stage(stage, boxed, config.optimizer, make_mesh(MeshConfig(), ONE))
    program = make_update(log_probs, plan, config)

    def run(data: Experience) -> Any:
        fresh = TrainState(step=jnp.int32(0), params=None, ema=WEIGHTS, opt_state=None)
        return program(begin_stage(fresh, plan), data, jax.random.key(0))

    return run


def test_the_first_ratio_is_one(update: Any):
    _, row = update(play(WEIGHTS, 0)[0])
    assert float(row["ratio"]) == pytest.approx(1.0, abs=1e-6)
    assert float(row["kl"]) == pytest.approx(0.0, abs=1e-6)
    assert float(row["clipped"]) == 0.0


def test_masked_plans_do_not_change_the_update(update: Any):
    data = jax.device_get(play(WEIGHTS, 0)[0])
    dead = ~data.mask[:, 0, 0]
    assert 0 < dead.sum() < dead.size
    other = data.replace(
        drawn=np.where(dead[:, None, None, None], 9.0, data.drawn),
        advantage=np.where(dead, 5.0, data.advantage),
        log_probs=np.where(dead[:, None, None], -3.0, data.log_probs),
    )
    first, second = update(data)[0], update(other)[0]
    assert weights_sha256(jax.device_get(first)) == weights_sha256(jax.device_get(second))
    assert not np.array_equal(first.params["mean"], WEIGHTS["mean"])


def test_it_moves_towards_what_did_better_than_its_group(update: Any):
    data = jax.device_get(play(WEIGHTS, 0)[0])
    pull = (data.advantage[:, None] * data.drawn[:, 0, 0])[data.mask[:, 0, 0]].sum(0)
    moved = np.asarray(update(data)[0].params["mean"]) - WEIGHTS["mean"]
    np.testing.assert_array_equal(np.sign(moved), np.sign(pull))


def test_an_epoch_visits_every_row_once_and_shares_out_those_that_count():
    live = jnp.arange(23) % 3 == 0
    parts = [minibatch(jax.random.key(1), live, jnp.int32(place), 4) for place in range(4)]
    rows = np.concatenate([np.asarray(rows)[np.asarray(real)] for rows, real in parts])
    assert sorted(rows) == list(range(23))
    counts = [int((live[rows] & real).sum()) for rows, real in parts]
    assert max(counts) - min(counts) <= 1
    assert len({rows.shape for rows, _ in parts}) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rollouts": 1}, "rollouts must be at least 2"),
        ({"groups": 0}, "groups must be at least 1"),
        ({"strength": 0.0}, "strength must be positive"),
        ({"clip_low": 1.0}, "clip_low must be below 1"),
        ({"tasks": ("reach", "reach")}, "each once"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"iterations": 0}, "iterations must be at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change: Any, words: str):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(RIPT, **change)
    with pytest.raises(UserError, match=words):
        from_json(RiptConfig, {**to_json(RIPT), **change})
