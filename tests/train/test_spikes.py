"""A step that would do harm changes nothing but the count; a step that would not is as ever."""

import dataclasses
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.train.test_loop import TerminatedLoader, go, run
from tests.train.toy import TWO_STAGES, ToyLoader, ToyRun, ToySystem
from wamjax.core.keys import named_keys
from wamjax.core.tree import leaves_by_path, weights_sha256
from wamjax.parallel.mesh import MeshConfig, make_mesh
from wamjax.parallel.shardings import batch_sharding, put_batch, replicated
from wamjax.train import step as step_module
from wamjax.train.config import StageConfig
from wamjax.train.metrics import read_metrics
from wamjax.train.spikes import empty_window, judge
from wamjax.train.stages import stages_of
from wamjax.train.state import init_state, plan_stage
from wamjax.train.step import make_step

KEYS = named_keys(jax.random.key(0), "init", "step")
MESHES = {1: MeshConfig(), 8: MeshConfig(data=2, fsdp=2, tensor=2)}


class BrokenLoader(ToyLoader):
    """Batches whose place lies in `broken` have actions that are not finite."""

    def __init__(self, batch: int, broken: range, value: float = float("nan")):
        super().__init__(batch)
        self.broken, self.value = broken, value

    def make(self, start: int) -> Any:
        batch = super().make(start)
        if start // self.batch in self.broken:
            return dataclasses.replace(batch, actions=np.full_like(batch.actions, self.value))
        return batch


def steps_on(devices: int, loader: ToyLoader, count: int, sigmas: float | None = None) -> Any:
    """The states after each of `count` steps and their metrics, on the host."""
    mesh = make_mesh(MESHES[devices], jax.devices()[:devices])
    settings = dataclasses.replace(ToyRun().train, spike_sigmas=sigmas, spike_window=4)
    boxed = jax.eval_shape(ToySystem().init, KEYS["init"])
    (stage,) = stages_of((StageConfig(),), 20)
    plan, rows = plan_stage(stage, boxed, settings, mesh), batch_sharding(mesh, 8)
    key = jax.device_put(KEYS["step"], replicated(mesh))
    state = init_state(ToySystem(), plan, KEYS["init"])
    step = make_step(ToySystem(), plan, settings.ema, rows, settings.augment, sigmas)
    seen, batches = [jax.device_get(state)], iter(loader)
    told = []
    for _ in range(count):
        state, row = step(state, put_batch(next(batches), rows), key)
        seen.append(jax.device_get(state))
        told.append(jax.device_get(row))
    return seen, told


@pytest.mark.parametrize("devices", list(MESHES))
def test_the_guarded_step_equals_the_plain_one_bit_for_bit(
    devices: int, monkeypatch: pytest.MonkeyPatch
):
    guarded, rows = steps_on(devices, ToyLoader(8), 6)
    watched, _ = steps_on(devices, ToyLoader(8), 6, sigmas=100.0)
    # As if the guard had never been written.
    monkeypatch.setattr(step_module, "judge", lambda *_: (jnp.bool_(True), None))
    monkeypatch.setattr(step_module, "if_taken", lambda _, take, *before: take(*before))
    plain, plain_rows = steps_on(devices, ToyLoader(8), 6)
    for ours, theirs, seen in zip(guarded, plain, watched, strict=True):
        assert weights_sha256(ours) == weights_sha256(theirs)
        assert weights_sha256(seen.replace(window=None)) == weights_sha256(theirs)
    for ours, theirs in zip(rows, plain_rows, strict=True):
        assert {name: ours[name].tobytes() for name in ours} == {
            name: theirs[name].tobytes() for name in theirs
        }


@pytest.mark.parametrize("devices", list(MESHES))
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_what_is_not_finite_changes_nothing_but_the_count(devices: int, value: float):
    """1e30 squared is infinite as a loss; its gradient alone would be finite."""
    states, rows = steps_on(devices, BrokenLoader(8, range(2, 4), value), 5)
    assert [float(row["skipped"]) for row in rows] == [0, 0, 1, 1, 0]
    for step in (3, 4):
        before, after = (leaves_by_path(states[place]) for place in (step - 1, step))
        changed = [path for path in after if before[path].tobytes() != after[path].tobytes()]
        assert changed == ["step"]
    assert weights_sha256(states[5].params) != weights_sha256(states[4].params)
    for leaf in jax.tree.leaves(states[5]):
        assert np.isfinite(leaf).all()


def test_the_learning_rate_told_is_that_of_the_steps_taken():
    _, rows = steps_on(1, BrokenLoader(8, range(2, 4)), 6)
    _, plain = steps_on(1, ToyLoader(8), 4)
    told = [float(row["learning_rate"]) for row in rows]
    due = [float(row["learning_rate"]) for row in plain]
    assert [*told[:3], *told[4:]] == [*due[:3], *due[2:]]


def test_a_gradient_that_is_not_finite_under_a_finite_loss_is_not_taken():
    taken, _ = judge(jnp.float32(1.0), jnp.float32(jnp.nan), None, None)
    assert not taken
    taken, window = judge(jnp.float32(1.0), jnp.float32(jnp.inf), empty_window(3), 6.0)
    assert not taken
    assert window is not None
    assert int(window.count) == 0


def test_spikes_are_those_that_a_list_of_the_last_steps_finds():
    draws = np.random.default_rng(3)
    losses, norms = draws.normal(5.0, 1.0, (2, 300)).astype(np.float32)
    for place, height in ((60, 40.0), (61, 12.0), (150, float("nan")), (220, 30.0)):
        losses[place] = height
    norms[100], norms[221] = 50.0, float("inf")
    window, length, sigmas = empty_window(16), 16, 3.0
    kept: list[tuple[float, float]] = []
    decide = jax.jit(lambda loss, norm, window: judge(loss, norm, window, sigmas))
    skipped = []
    for place, pair in enumerate(zip(losses, norms, strict=True)):
        taken, window = decide(*pair, window)
        expected = bool(np.isfinite(pair).all())
        if expected and len(kept) >= length:
            last = np.asarray(kept[-length:], np.float64)
            expected = bool((pair <= last.mean(0) + sigmas * last.std(0)).all())
        if expected:
            kept.append(pair)
        else:
            skipped.append(place)
        assert bool(taken) is expected, place
    assert {60, 61, 100, 150, 220, 221} <= {*skipped}
    assert int(window.count) == len(kept)


def test_a_run_with_a_window_resumes_exactly_in_the_middle_of_it(tmp_path: pathlib.Path):
    config = run(stages=TWO_STAGES, spike_sigmas=1.0, spike_window=3, patience=15, log_every=1)
    whole, _ = go(config, tmp_path / "whole")
    rows = read_metrics(tmp_path / "whole")
    assert whole["skipped_steps"] == sum(row["skipped"] for row in rows) > 0
    stopped, _ = go(config, tmp_path / "broken", loader=TerminatedLoader(8, at=7))
    assert 0 < stopped["step"] < 12
    final, _ = go(config, tmp_path / "broken")
    for name in ("weights_sha256", "state_sha256", "skipped_steps"):
        assert final[name] == whole[name]
    mine, theirs = (
        [row["skipped"] for row in read_metrics(tmp_path / name)] for name in ("whole", "broken")
    )
    assert mine == theirs
