"""`wamjax sample`: held-out windows of a run's data, predicted and true side by side."""

import argparse
import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.cli.data_set import add_data_set, beside, titled
from wamjax.core.errors import UserError
from wamjax.core.files import write_json
from wamjax.core.keys import named_keys
from wamjax.core.progress import Progress
from wamjax.core.records import Batch
from wamjax.core.typing import Key
from wamjax.data import Statistics
from wamjax.data.windows.seats import Seat
from wamjax.eval.heldout import held_out, mean_action, samples
from wamjax.eval.openloop import open_loop
from wamjax.eval.sample_report import write_sample_report
from wamjax.eval.trained_run import TrainedRun, open_run
from wamjax.recipes.forms import Known, conditions
from wamjax.recipes.learner import Learner, past_of

BATCH = 32


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Example:\n  wamjax sample --workdir runs/bridge --out runs/bridge/sample.html\n"
        "  wamjax sample --workdir runs/mixture --data-set droid"
    )
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of `wamjax train`")
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        help="the page; default WORKDIR/sample.html (of a data set of a mixture: sample-NAME.html)",
    )
    add_data_set(parser)
    parser.add_argument("--step", type=int, help="which checkpoint; default the newest")
    parser.add_argument(
        "--form", help="sample the same weights in another form of the recipe, such as joint"
    )
    parser.add_argument("--dir", help="where the data are now, if they have moved")
    parser.add_argument("--limit", type=int, default=512, help="windows at most (default 512)")
    parser.add_argument("--show", type=int, default=8, help="windows on the page (default 8)")
    parser.add_argument(
        "--draws",
        type=int,
        default=16,
        help="samples averaged into the predicted action (default 16; 1: a single sample)",
    )
    parser.add_argument(
        "--steps", type=int, help="solver steps, or jumps (default: those of the run's config)"
    )
    parser.add_argument(
        "--candidates",
        type=int,
        help="draw so many chunks for each and keep the one with the highest value (cosmos_policy; "
        "default: as in the run's config)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sampler's noise")
    parser.add_argument("--json", action="store_true", help="print sample.json at the end")


def without_actions(seat: Seat, statistics: Statistics) -> str:
    """Why the actions of a mixture's data set cannot be sampled."""
    return "" if statistics.action.count else "has no actions to compare with"


def predictor(run: TrainedRun, draws: int) -> Callable[[Batch, Key], tuple[Any, Any]]:
    """(batch, key) -> mean of `draws` action chunks [B, K, A], and the first draw's frames.

    A sampler draws from p(actions | observation); the prediction with the least expected error is
    nearer to the middle of that distribution than one draw from it.

    Raises:
        UserError: the form predicts no actions.
    """
    system, history = run.system, run.config.system.history
    needs: tuple[str, ...] = ()
    if isinstance(system, Learner):
        if "action" not in system.predicts:
            raise UserError(
                f"{system.name} predicts no actions to measure; choose another form by --form."
            )
        needs = conditions(system.blueprint)

    @jax.jit
    def predict(weights: Any, batch: Batch, key: Key):
        seen = (
            jnp.asarray(batch.frames)[:, :, :history],
            jnp.asarray(batch.camera_mask),
            jnp.where(batch.proprio_mask, batch.proprio, 0.0),
            jnp.asarray(batch.text),
        )
        # Only what the form conditions on: the true future, for inverse dynamics.
        future = jnp.asarray(batch.frames)[:, :, history:]
        told: dict[str, Any] = {"known": Known(frames=future)} if needs else {}
        keys = named_keys(key, "first", "others")
        past = past_of(batch)
        if past is not None:
            told["past"] = past
        if batch.goal is not None:
            told["goal"] = batch.goal, batch.goal_mask
        first = system.sample(weights, *seen, keys["first"], video=system.predicts_video, **told)

        def one(key: Key):
            return system.sample_actions(weights, *seen, key, **told)

        others = jax.lax.map(one, jax.random.split(keys["others"], draws - 1))
        total = first["action"] + others.sum(0)
        return {**first, "action": total / draws}

    def call(batch: Batch, key: Key):
        count = len(batch.index)
        # One shape, one compilation: the last batch is filled up with its last row.
        rows = np.minimum(np.arange(BATCH), count - 1)
        filled = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], batch)
        out = jax.device_get(predict(run.weights, filled, key))
        frames = out["frames"][:count] if run.shows_future else None
        return out["action"][:count], frames

    return call


def run_sample(
    run: TrainedRun,
    out: pathlib.Path,
    *,
    directory: str | None,
    limit: int | None,
    show: int,
    draws: int,
    seed: int,
    command: str,
) -> dict[str, Any]:
    """Measure, write the page and the numbers beside it (same name, .json)."""
    windows = run.held_out(directory)
    predict = predictor(run, draws)
    key = jax.random.key(seed)
    total = min(len(windows), limit) if limit else len(windows)
    with Progress("sample", total, "windows") as progress:
        errors = open_loop(
            predict,
            held_out(windows, BATCH, limit),
            mean_action=mean_action(windows, run.statistics),
            history=run.config.system.history,
            key=key,
            advance=progress.advance,
        )
    errors |= {"draws": draws, "step": run.step, "seed": seed}
    pages = samples(windows, predict, jax.random.fold_in(key, 1), show)
    if run.seat is not None:
        errors["data_set"] = run.seat.name
    title = titled(run)
    write_sample_report(out, errors, pages, title=title, command=command)
    write_json(out.with_suffix(".json"), errors)
    return errors


def in_steps(run: TrainedRun, steps: int | None) -> TrainedRun:
    """The run, sampled in so many solver steps; None for those of its config.

    Raises:
        UserError: its sampler cannot take so many.
    """
    if steps is None:
        return run
    if steps < 1:
        raise UserError(f"--steps must be at least 1, got {steps}.")
    try:
        system = dataclasses.replace(run.config.system, solver_steps=steps)
    except ValueError as error:
        raise UserError(f"--steps {steps}: {error}.") from error
    return dataclasses.replace(run, config=dataclasses.replace(run.config, system=system))


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    opened = open_run(args.workdir, args.step, data_set=args.data_set, misfit=without_actions)
    trained = in_steps(opened, args.steps)
    if args.form is not None:
        trained = trained.in_form(args.form)
    trained = trained.choosing(args.candidates)
    out = args.out or args.workdir / f"{beside('sample', trained)}.html"
    errors = run_sample(
        trained,
        out,
        directory=args.dir,
        limit=args.limit,
        show=args.show,
        draws=max(1, args.draws),
        seed=args.seed,
        command=f"wamjax sample --workdir {args.workdir} --out {out}"
        + ("" if args.steps is None else f" --steps {args.steps}")
        + ("" if trained.seat is None else f" --data-set {trained.seat.name}")
        + (f" --form {args.form}" if args.form else "")
        + (f" --candidates {args.candidates}" if args.candidates else ""),
    )
    if args.json:
        json.dump(errors, sys.stdout, indent=2)
        print()
        return
    for name in ("action", "mean_action", "last_action", "frame", "repeat_frame"):
        value = errors[f"{name}_error"]
        if value is not None:
            low, high = errors["intervals"][f"{name}_error"]
            print(f"{name}_error {value:.4f} (95 % interval {low:.4f} to {high:.4f})")
    print(f"{errors['windows']} windows of {errors['episodes']} held-out episodes; page: {out}")
