"""The training loop, top to bottom: shapes -> shardings -> init or restore -> steps -> final.json.

A run is its workdir: started again it goes on where the last checkpoint stands, with the same
batches and the same draws, so that a killed run ends with the weights of an uninterrupted one, bit
for bit. SIGTERM saves and returns; `wamjax train` then exits 75.
"""

import contextlib
import io
import itertools
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import jax

from wamjax.core.config import to_json
from wamjax.core.files import read_json, write_json
from wamjax.core.keys import named_keys
from wamjax.core.progress import Progress, seconds
from wamjax.core.typing import Params
from wamjax.parallel.mesh import Devices, make_mesh
from wamjax.parallel.shardings import batch_sharding, replicated
from wamjax.train.checkpoint import Checkpoints
from wamjax.train.flops import compiled
from wamjax.train.inputs import inspect_inputs
from wamjax.train.meter import Meter
from wamjax.train.metrics import Metrics, read_metrics
from wamjax.train.outcome import ADDED_UP, FINAL, run_final, run_meta
from wamjax.train.prefetch import Prefetch
from wamjax.train.protocols import Evaluate, Loader, Run, System
from wamjax.train.stages import stage_index, stages_of
from wamjax.train.state import begin_stage, begun_with, init_state, plan_stage
from wamjax.train.step import make_step
from wamjax.train.stop import Stop
from wamjax.train.workdir import CONFIG, refuse_other_runs, same_statistics


def train(
    config: Run,
    workdir: str | pathlib.Path,
    *,
    system: System,
    loader: Loader,
    statistics: Any,
    given: Mapping[str, Params] | None = None,
    evaluate: Evaluate | None = None,
    devices: Devices | None = None,
    stream: TextIO | None = None,
) -> dict[str, Any]:
    """Train, or go on training, until `config.train.steps`.

    Args:
        config: the run's config, a frozen dataclass.
        workdir: all outputs go there: `config.json`, `metrics.jsonl`, `tensorboard/`,
            `checkpoints/<step>/`, `final.json`.
        system: the model.
        loader: batches of `config.train.batch` examples.
        statistics: of the data, as JSON; kept with the weights.
        given: weights of parts of the system ("codec") with which a fresh run begins.
        evaluate: called with the averaged weights at every checkpoint.
        devices: by default all devices of all hosts.
        stream: where progress goes; standard error by default.

    Returns:
        The content of `final.json`; if SIGTERM ended the run early, only
        {"finished": False, "step": ...}.

    Raises:
        UserError: the workdir belongs to another config or other statistics, the mesh or the
            batch does not fit the devices, a mask hides everything, or a metric is not finite.
    """
    workdir, settings = pathlib.Path(workdir), config.train
    stages = stages_of(config.stages, settings.steps)
    last = stages[-1].end
    mesh = make_mesh(config.mesh, devices)
    rows = batch_sharding(mesh, settings.batch)
    main = jax.process_index() == 0
    stream = sys.stderr if stream is None else stream
    if not main:
        stream = io.StringIO()

    def say(text: str) -> None:
        print(f"train: {text}", file=stream, flush=True)

    # Whose workdir it is; a run that is done is left alone.
    meta = run_meta(to_json(config), statistics)
    refuse_other_runs(workdir, meta["config"])

    # Shapes -> shardings.
    keys = named_keys(jax.random.key(settings.seed), "init", "step", "inputs")
    boxed = jax.eval_shape(system.init, keys["init"])
    plans = [plan_stage(stage, boxed, settings, mesh) for stage in stages]
    if main:
        write_json(workdir / CONFIG, meta["config"])
    run_key = jax.jit(lambda key: key, out_shardings=replicated(mesh))(keys["step"])

    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(workdir, settings.keep))
        stop = stack.enter_context(Stop())

        # Init or restore.
        latest = checkpoints.latest()
        if latest is None:
            step, index = 0, 0
            state = begun_with(init_state(system, plans[0], keys["init"]), given or {}, plans[0])
        else:
            step, index = latest, stage_index(stages, latest)
            stored = checkpoints.meta(step)
            same_statistics(workdir, stored["statistics"], meta["statistics"])
            if step == last and (workdir / FINAL).is_file():
                say(f"{workdir} is finished at step {step}; nothing to do.")
                return read_json(workdir / FINAL)
            meta |= {name: stored[name] for name in ADDED_UP}
            state, place = checkpoints.restore(step, plans[index].abstract)
            loader.restore(place)
            say(f"goes on from step {step} of {last} in {workdir}.")
        began = time.monotonic() - meta["seconds"]

        # Steps.
        batches = stack.enter_context(Prefetch(loader, rows, last - step))
        metrics = stack.enter_context(Metrics(workdir, step, main=main))
        meter = Meter(settings.batch)
        stopping = False
        for plan, following in itertools.pairwise([*plans[index:], None]):
            if plan is None or step == last or stopping:
                break
            stage = plan.stage
            batch = batches.take()
            if step == stage.start:
                inspect_inputs(system, state.params, batch, stage, keys["inputs"], say)
            say(
                f"stage {stage.name} ({stage.objective}): {plan.trained:,} weights trained, "
                f"{plan.total - plan.trained:,} frozen; compiling."
            )
            program = make_step(system, plan, settings.ema, rows, settings.augment)
            train_step, flops, compiling = compiled(program, state, batch, run_key)
            meta["compile_seconds"] += compiling
            say(f"compiled in {seconds(compiling)}; {flops / 1e9:.3g} GFLOP per step.")

            progress = Progress(
                f"train {stage.name}", stage.steps, "steps", done=step - stage.start, stream=stream
            )
            with progress:
                meter.restart(batches.waited)
                while True:
                    state, row = train_step(state, batch, run_key)
                    step += 1
                    meta["flops"] += flops
                    meter.add(step, row)
                    ends = step == stage.end
                    stopping = stop.requested or checkpoints.preempted(step)
                    note = ""
                    if step % settings.log_every == 0 or ends or stopping:
                        values = meter.mean(batches.waited)
                        values["seconds"] = time.monotonic() - began
                        metrics.write(step, values)
                        note = f"loss {values['loss']:.4g}"
                    progress.advance(note=note)
                    # A checkpoint between two stages belongs to the later one.
                    if ends and following is not None:
                        state = begin_stage(state, following)
                    if step % settings.save_every == 0 or step == last or stopping:
                        meter.check()
                        paused = time.monotonic()
                        if evaluate is not None:
                            metrics.write(step, evaluate(state.ema, step))
                        meta["seconds"] = time.monotonic() - began
                        checkpoints.save(step, state, batches.state, meta)
                        meter.leave_out(time.monotonic() - paused)
                    if ends or stopping:
                        break
                    batch = batches.take()

        checkpoints.wait()
        if step < last:
            say(f"stopped at step {step} of {last}, saved; the same command goes on.")
            return {"finished": False, "step": step}
        final = run_final(config.name, step, state, meta, plans, read_metrics(workdir))
        if main:
            write_json(workdir / FINAL, final)
        say(f"finished at step {step} in {seconds(final['seconds'])}.")
        return final
