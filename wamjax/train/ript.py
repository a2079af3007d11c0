"""RL after imitation: collect -> update, again and again, from the weights of a finished run.

    rollouts        G groups of K from one initial state each, by draws alone different
    reward          1 for success;   advantage   leave-one-out within the group
    groups whose rewards are equal teach nothing: others are drawn in their place
    updates         PPO, clipped (train.ript_update)

RIPT-VLA, arXiv 2505.17016; for flows as in Flow-GRPO, arXiv 2505.05470. A run is its workdir, as
in train.loop: an iteration is a function of the weights and its number, so that a killed run ends
with the weights of an uninterrupted one. Rollouts and evaluation are given by the caller: this
package knows neither worlds nor policies.
"""

import contextlib
import math
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TextIO

import jax
import jax.numpy as jnp

from wamjax.core.config import to_json
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.core.keys import named_keys
from wamjax.core.progress import Progress, seconds
from wamjax.core.typing import Params
from wamjax.parallel.mesh import Devices, MeshConfig, make_mesh
from wamjax.parallel.shardings import replicated
from wamjax.train.checkpoint import Checkpoints
from wamjax.train.experience import Collect, LogProbs
from wamjax.train.flops import compiled
from wamjax.train.metrics import Metrics, read_metrics
from wamjax.train.outcome import ADDED_UP, FINAL, run_final, run_meta
from wamjax.train.protocols import Evaluate, System
from wamjax.train.ript_config import RiptConfig
from wamjax.train.ript_update import make_update
from wamjax.train.stages import Stage
from wamjax.train.state import TrainState, begin_stage, plan_stage
from wamjax.train.stop import Stop
from wamjax.train.workdir import (
    CONFIG,
    refuse_other_config,
    refuse_other_runs,
    same_statistics,
)


class Rewarded(Protocol):
    """The part of a run's config that this loop reads; a frozen dataclass."""

    @property
    def name(self) -> str: ...

    @property
    def ript(self) -> RiptConfig | None: ...

    @property
    def mesh(self) -> MeshConfig: ...


def reward(
    config: Rewarded,
    workdir: str | pathlib.Path,
    *,
    system: System,
    weights: Params,
    statistics: Any,
    collect: Collect,
    log_probs: LogProbs,
    evaluate: Evaluate,
    devices: Devices | None = None,
    stream: TextIO | None = None,
) -> dict[str, Any]:
    """Reward the policy, or go on rewarding it, until `config.ript.iterations`.

    Args:
        config: the run's config; its field `ript` says how.
        workdir: as in `train.loop.train`; a step is an iteration.
        system: gives the shapes and the logical axes of the weights.
        weights: to start from.
        statistics: of the data that the weights were trained on; kept with the new ones.
        collect: the rollouts of an iteration.
        log_probs: of what was drawn.
        evaluate: called with the averaged weights before the first iteration, every
            `evaluate_every` ones and after the last; its numbers join the metrics.
        devices: by default all.
        stream: where progress goes; standard error by default.

    Returns:
        The content of `final.json`; if SIGTERM ended the run early, only
        {"finished": False, "step": ...}.

    Raises:
        UserError: the workdir belongs to another config, a pattern matches no weight, several
            hosts run, or a metric is not finite.
    """
    workdir, settings = pathlib.Path(workdir), config.ript
    assert settings is not None
    if jax.process_count() > 1:
        raise UserError("a ript stage runs on one host; start it on one.")
    stream = sys.stderr if stream is None else stream
    last = settings.iterations

    def say(text: str) -> None:
        print(f"ript: {text}", file=stream, flush=True)

    meta = run_meta(to_json(config), statistics)
    refuse_other_runs(workdir, meta["config"])
    plan = _plan(system, settings, config.mesh, devices)
    keys = named_keys(jax.random.key(settings.seed), "init", "update")
    write_json(workdir / CONFIG, meta["config"])
    whole = replicated(plan.mesh)
    run_key = jax.device_put(keys["update"], whole)

    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(workdir, settings.keep, say))
        stop = stack.enter_context(Stop())
        latest = checkpoints.latest()
        if latest is None:
            step = 0
            fresh = TrainState(step=jnp.int32(0), params=None, ema=weights, opt_state=None)
            state = begin_stage(fresh, plan)
        else:
            step = latest
            stored = checkpoints.meta(step)
            refuse_other_config(
                f"the checkpoint of iteration {step} in {workdir} belongs",
                stored["config"],
                meta["config"],
            )
            same_statistics(workdir, stored["statistics"], meta["statistics"])
            if step == last and (workdir / FINAL).is_file():
                say(f"{workdir} is finished at iteration {step}; nothing to do.")
                return read_json(workdir / FINAL)
            meta |= {name: stored[name] for name in ADDED_UP}
            state, _ = checkpoints.restore(step, plan.abstract)
            say(f"goes on from iteration {step} of {last} in {workdir}.")
        began = time.monotonic() - meta["seconds"]
        metrics = stack.enter_context(Metrics(workdir, step, say=say))

        def evaluated(state: TrainState, step: int) -> str:
            row = dict(evaluate(state.ema, step))
            metrics.write(step, {**row, "seconds": time.monotonic() - began})
            note = ", ".join(f"{name} {value:.3g}" for name, value in row.items())
            say(f"iteration {step}: {note}.")
            return note

        say(f"{plan.trained:,} weights trained, {plan.total - plan.trained:,} frozen.")
        if step == 0:
            evaluated(state, 0)
        program = make_update(log_probs, plan, settings)
        update, flops = None, 0.0
        stopping = False
        progress = Progress("ript", last, "iterations", done=step, stream=stream)
        with progress:
            while step < last and not stopping:
                started = time.monotonic()
                collected = collect(state.params, step)
                data = jax.device_put(collected.experience, whole)
                collecting = time.monotonic() - started
                if update is None:
                    say("compiling the update.")
                    update, flops, compiling = compiled(program, state, data, run_key)
                    meta["compile_seconds"] += compiling
                started = time.monotonic()
                rows = []
                for _ in range(settings.updates):
                    state, row = update(state, data, run_key)
                    rows.append(row)
                step += 1
                values = _means(jax.device_get(rows), step)
                meta["flops"] += settings.updates * flops
                ended = time.monotonic()
                numbers = {
                    **values,
                    **collected.numbers,
                    "collect_seconds": collecting,
                    "update_seconds": ended - started,
                    "seconds": ended - began,
                }
                metrics.write(step, numbers)
                progress.advance(note=f"reward {numbers['reward']:.3f}")
                stopping = stop.requested
                if step % settings.evaluate_every == 0 or step == last:
                    evaluated(state, step)
                if step % settings.save_every == 0 or step == last or stopping:
                    meta["seconds"] = time.monotonic() - began
                    checkpoints.save(step, state, {"iteration": step}, meta)
        checkpoints.finish(step, state, {"iteration": step}, meta)
        if step < last:
            say(f"stopped at iteration {step} of {last}, saved; the same command goes on.")
            return {"finished": False, "step": step}
        final = run_final(config.name, step, state, meta, [plan], read_metrics(workdir))
        write_json(workdir / FINAL, final)
        say(f"finished at iteration {step} in {seconds(final['seconds'])}.")
        return final


def _plan(system: System, settings: RiptConfig, mesh: MeshConfig, devices: Devices | None) -> Any:
    """One stage whose schedule counts updates."""
    optimizer = settings.optimizer
    (part,) = optimizer.stages
    stage = Stage(
        name=part.name,
        start=0,
        end=settings.iterations * settings.updates,
        objective=part.objective,
        train=part.train,
    )
    boxed = jax.eval_shape(system.init, jax.random.key(settings.seed))
    return plan_stage(stage, boxed, optimizer, make_mesh(mesh, devices))


def _means(rows: Sequence[Mapping[str, Any]], step: int) -> dict[str, float]:
    """Means over an iteration's updates.

    Raises:
        UserError: one of them is not finite.
    """
    values = {name: math.fsum(float(row[name]) for row in rows) / len(rows) for name in rows[0]}
    for name, value in values.items():
        if not math.isfinite(value):
            raise UserError(
                f"{name} became {value} at iteration {step}; lower ript.learning_rate or raise "
                "ript.strength."
            )
    return values
