"""The training loop, top to bottom: shapes -> shardings -> init or restore -> steps -> final.json.

A run is its workdir: started again it goes on where the last checkpoint stands, with the same
batches and the same draws, so that a killed run ends with the weights of an uninterrupted one, bit
for bit. SIGTERM saves and returns; `wamjax train` then exits 75. What is borne on the way, and what
is told of it, is in docs/reliability.md.
"""

import contextlib
import io
import pathlib
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import jax

from wamjax.core.config import to_json
from wamjax.core.files import read_json, write_json
from wamjax.core.keys import named_keys
from wamjax.core.progress import seconds
from wamjax.core.typing import Params
from wamjax.parallel.mesh import Devices, make_mesh
from wamjax.parallel.shardings import batch_sharding, replicated
from wamjax.train.agree import refuse_disagreement
from wamjax.train.card import START
from wamjax.train.checkpoint import FOLDER, Checkpoints
from wamjax.train.config import PATIENCE
from wamjax.train.goodput import Goodput
from wamjax.train.heartbeat import Heart
from wamjax.train.intact import steps_in
from wamjax.train.lora import Adapted, adapted, on_merged
from wamjax.train.meter import Meter
from wamjax.train.metrics import Metrics, read_metrics
from wamjax.train.outcome import FINAL, run_final, run_meta, stored_meta
from wamjax.train.prefetch import Prefetch
from wamjax.train.protocols import Evaluate, Loader, Run, System
from wamjax.train.rollback import GoBack, PassedOver, Streak
from wamjax.train.stages import stage_index, stages_of
from wamjax.train.state import begun_with, init_state, plan_stage
from wamjax.train.steps import Standing, Steps
from wamjax.train.stop import Stop
from wamjax.train.warm_start import begun_from, warm_start
from wamjax.train.workdir import (
    CONFIG,
    refuse_other_config,
    refuse_other_runs,
    same_statistics,
    told_if_unwritable,
)


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
            `checkpoints/<step>/`, `goodput.json`, `heartbeat/`, `final.json`; `start.json` if
            `config.train.start` names weights to begin with.
        system: the model.
        loader: batches of `config.train.batch` examples.
        statistics: of the data, as JSON; kept with the weights.
        given: weights of parts of the system ("codec") with which a fresh run begins.
        evaluate: called with the averaged weights at every checkpoint, but not at SIGTERM.
        devices: by default all devices of all hosts.
        stream: where progress goes; standard error by default.

    Returns:
        The content of `final.json`; if SIGTERM ended the run early, only
        {"finished": False, "step": ...}.

    Raises:
        UserError: the workdir or a checkpoint belongs to another config or other statistics, the
            hosts do not agree, the mesh or the batch does not fit the devices, a mask hides
            everything, steps are skipped again and again, or the last state cannot be saved.
    """
    workdir, settings = pathlib.Path(workdir), config.train
    system = adapted(system, settings)
    meta = run_meta(to_json(config), statistics)
    refuse_disagreement({name: meta[name] for name in ("config", "fingerprint", "versions")})
    stages = stages_of(config.stages, settings.steps)
    last = stages[-1].end
    mesh = make_mesh(config.mesh, devices)
    rows = batch_sharding(mesh, settings.batch, settings.parts)
    main = jax.process_index() == 0
    told = stream or sys.stderr if main else io.StringIO()

    def say(text: str) -> None:
        # A log on a full disk must not end the run.
        with contextlib.suppress(OSError):
            print(f"train: {text}", file=told, flush=True)

    # Whose workdir it is.
    refuse_other_runs(workdir, meta["config"])

    # Shapes -> shardings.
    keys = named_keys(jax.random.key(settings.seed), "init", "step", "inputs")
    boxed = jax.eval_shape(system.init, keys["init"])
    plans = [plan_stage(stage, boxed, settings, mesh) for stage in stages]
    if isinstance(system, Adapted):
        say(system.told(boxed))
        evaluate = on_merged(evaluate, system.scale)
    begun = steps_in(workdir / FOLDER)
    start = None if begun else warm_start(settings, boxed)
    run_key = jax.jit(lambda key: key, out_shardings=replicated(mesh))(keys["step"])

    with contextlib.ExitStack() as stack:
        with told_if_unwritable(workdir):
            if main:
                write_json(workdir / CONFIG, meta["config"])
            checkpoints = stack.enter_context(Checkpoints(workdir, settings.keep, say))
            step = checkpoints.latest()
        if step is not None:
            stored = checkpoints.meta(step)
            refuse_other_config(
                f"the checkpoint of step {step} in {workdir} belongs",
                stored["config"],
                meta["config"],
            )
            same_statistics(workdir, stored["statistics"], meta["statistics"])
        # A run that is done is left alone.
        if step == last and (workdir / FINAL).is_file():
            say(f"{workdir} is finished at step {step}; nothing to do.")
            return read_json(workdir / FINAL)

        stop = stack.enter_context(Stop())
        goodput = Goodput(workdir)
        heart = Heart(workdir, jax.process_index(), goodput, settings.hang_after, say, main=main)
        stack.enter_context(heart)
        passed_over = PassedOver(workdir, main=main)
        steps = Steps(
            system=system,
            settings=settings,
            plans=plans,
            rows=rows,
            run_key=run_key,
            input_key=keys["inputs"],
            evaluate=evaluate,
            checkpoints=checkpoints,
            passed_over=passed_over,
            stop=stop,
            goodput=goodput,
            heart=heart,
            say=say,
            stream=told,
        )
        while True:
            # Init or restore.
            if step is None:
                fresh, place = init_state(system, plans[0], keys["init"]), None
                if start is None:
                    start = warm_start(settings, boxed)
                if start is not None:
                    say(start.told())
                    fresh = begun_from(fresh, start, plans[0])
                    if main:
                        with told_if_unwritable(workdir):
                            write_json(workdir / START, start.record)
                state = begun_with(fresh, given or {}, plans[0])
                at = Standing(step=0, index=0, state=state, meta=dict(meta))
            else:
                index = stage_index(stages, step)
                state, place = checkpoints.restore(step, plans[index].abstract)
                carried = stored_meta(checkpoints.meta(step))
                at = Standing(step=step, index=index, state=state, meta={**meta, **carried})
                say(f"goes on from step {step} of {last} in {workdir}.")
            goodput.goes_on_from(at.meta["goodput"])
            passed = passed_over.after(at.step)
            if passed is not None:
                say(f"passes over data after step {at.step}: steps were skipped for them.")
                place, row = passed["data"], {"to": at.step, "until": passed["until"]}
                at.meta["rollbacks"] = [*at.meta["rollbacks"], row]
            if place is not None:
                loader.restore(place)

            # Steps.
            patience = PATIENCE if settings.patience is None else settings.patience
            meter = Meter(settings.batch, Streak(patience, at.meta["streak"]))
            with told_if_unwritable(workdir):
                metrics = Metrics(workdir, at.step, main=main, say=say)
            try:
                with Prefetch(loader, rows, last - at.step) as batches, metrics:
                    steps.run(at, batches, metrics, meter)
                    place = batches.state
                break
            except GoBack as back:
                step = checkpoints.back_to_good()
                passed_over.add(0 if step is None else step, back)
                goodput.rollbacks += 1
                say(f"{back}: goes back to step {step or 0} and passes over their data.")

        # The last word.
        with goodput.of("checkpoint"):
            checkpoints.finish(at.step, at.state, place, at.meta)
        if at.step < last:
            done = "saved" if at.step else "before its first step"
            say(f"stopped at step {at.step} of {last}, {done}; the same command goes on.")
            say(stop.line())
            say(goodput.line())
            return {"finished": False, "step": at.step}
        final = run_final(
            config.name, at.step, at.state, at.meta, plans, read_metrics(workdir), goodput.told()
        )
        if main:
            with told_if_unwritable(workdir):
                write_json(workdir / FINAL, final)
        say(goodput.line())
        say(f"finished at step {at.step} in {seconds(final['seconds'])}.")
        return final
