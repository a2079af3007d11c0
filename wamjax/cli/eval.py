"""`wamjax eval`: success rates in vectorised worlds, clean and along the axes, and the report."""

import argparse
import json
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.eval.evaluate import Facts, episodes_of, evaluate
from wamjax.eval.gallery import Gallery, film
from wamjax.eval.programs import Contestants, Programs
from wamjax.eval.report import write_report
from wamjax.eval.trained_run import TrainedRun, open_run
from wamjax.eval.worlds import Worlds
from wamjax.policy.baselines import random_policy, still_policy
from wamjax.sim.env import TabletopEnv
from wamjax.sim.manifest import Manifest, build_manifest, save_manifest
from wamjax.sim.scene import CAMERAS
from wamjax.sim.tasks.registry import TASKS
from wamjax.sim.variants import AXIS_NAMES
from wamjax.train.metrics import read_metrics


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Example:\n  wamjax eval --workdir runs/quickstart/train --tasks reach --axes all "
        "--severity 1-5 --worlds 200"
    )
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of `wamjax train`")
    parser.add_argument("--out", type=pathlib.Path, help="default WORKDIR/eval")
    parser.add_argument("--tasks", default="reach", help=f"of: {', '.join(TASKS)}")
    parser.add_argument("--axes", default="all", help=f"all, none, or of: {', '.join(AXIS_NAMES)}")
    parser.add_argument("--severity", default="1-5", help="a number or a range (default 1-5)")
    parser.add_argument("--worlds", type=int, default=200, help="clean worlds (default 200)")
    parser.add_argument("--per-axis", type=int, default=50, help="worlds per axis (default 50)")
    parser.add_argument("--replan", type=int, help="actions per plan; default half a chunk")
    parser.add_argument("--batch", type=int, default=64, help="worlds at once (default 64)")
    parser.add_argument("--seed", type=int, default=0, help="of the worlds and the sampler")
    parser.add_argument("--step", type=int, help="which checkpoint; default the newest")
    parser.add_argument("--json", action="store_true", help="print results.json at the end")


def severities(text: str) -> tuple[int, ...]:
    """ "3" -> (3,), "1-5" -> (1, 2, 3, 4, 5).

    Raises:
        UserError: not of that form, or outside 1..5.
    """
    low, _, high = text.partition("-")
    if not (low.isdigit() and (high or low).isdigit()):
        raise UserError(f"--severity must be a number or a range such as 1-5, got {text!r}.")
    chosen = tuple(range(int(low), int(high or low) + 1))
    if not chosen or chosen[0] < 1 or chosen[-1] > 5:
        raise UserError(f"--severity must lie in 1..5, got {text!r}.")
    return chosen


def names(text: str, known: Sequence[str], flag: str) -> tuple[str, ...]:
    """A comma-separated choice of known names; "all" and "none" are understood.

    Raises:
        UserError: an unknown name.
    """
    if text == "all":
        return tuple(known)
    if text == "none":
        return ()
    chosen = tuple(text.split(","))
    for name in chosen:
        if name not in known:
            raise UserError(f"{flag}: {name!r} does not exist; known: {', '.join(known)}.")
    return chosen


def contestants(run: TrainedRun, cameras: tuple[str, ...], replan: int | None) -> Contestants:
    """The trained policy and the two that look at nothing."""
    policy = run.policy(cameras, replan)
    statistics = run.statistics.action
    shape = {"chunk": policy.chunk, "replan": policy.replan}
    return {
        "trained": (policy, run.weights),
        "random": random_policy(np.asarray(statistics.q01), np.asarray(statistics.q99), **shape),
        "still": still_policy(
            width=len(statistics.mean), gripper_dim=run.config.data.gripper_dim, **shape
        ),
    }


def worlds_of(manifest: Manifest, env: TabletopEnv, task: str) -> Worlds:
    """The manifest's worlds of one task."""
    rows = [row for row in manifest.rows if row["task"] == task]
    return Worlds(
        env=env,
        variants=manifest.variants(task),
        axes=tuple(row["axis"] for row in rows),
        rows=tuple(rows),
        horizon=env.horizon,
    )


class Evaluation:
    """Policies and worlds of one evaluation; programs are compiled once and kept for the pictures.

    Args:
        trained: the run under test.
        out: where results go.
        manifest: the worlds.
        tasks: which tasks of the manifest.
        replan: actions per plan; None for half a chunk.
        batch: worlds at once.
        seed: of the sampler.
    """

    def __init__(
        self,
        trained: TrainedRun,
        out: pathlib.Path,
        manifest: Manifest,
        *,
        tasks: Sequence[str],
        replan: int | None,
        batch: int,
        seed: int,
    ):
        size = trained.config.system.image_size
        self.trained, self.out, self.manifest, self.seed = trained, out, manifest, seed
        self.worlds = {
            task: worlds_of(manifest, TabletopEnv(task, image_size=size), task) for task in tasks
        }
        self.policies = contestants(trained, CAMERAS, replan)
        self.programs = Programs(self.policies, batch=batch)
        self.batch = batch

    def results(self) -> dict[str, Any]:
        """Roll out all policies in all worlds; returns the content of results.json."""
        final = self.trained.final
        facts = Facts(
            parameters=self.trained.parameters,
            train_seconds=0.0 if final is None else final["seconds"],
            train_flops=0.0 if final is None else final["train_flops"],
            manifest_sha256=self.manifest.sha256,
        )
        return evaluate(
            self.policies,
            self.worlds,
            facts=facts,
            seed=self.seed,
            directory=self.out,
            batch=self.batch,
            programs=self.programs,
        )

    def pictures(self) -> list[Gallery]:
        """Some of the evaluated episodes, drawn, per task."""
        return [
            film(
                task,
                place,
                *self.policies["trained"],
                episodes=episodes_of(self.out, "trained", task),
                seed=self.seed,
                runner=self.programs.find("trained", task, place).rollout,
            )
            for task, place in self.worlds.items()
        ]


def summary(results: Mapping[str, Any]) -> str:
    """Success rates as lines for a terminal."""
    lines = []
    for policy, tasks in results["policies"].items():
        for task, table in tasks.items():
            cells = {"clean": table["clean"], **table["axes"]}
            for name, cell in cells.items():
                if cell is not None:
                    low, high = cell["wilson95"]
                    lines.append(
                        f"{task:<8} {policy:<8} {name:<11} {100 * cell['rate']:5.1f} % "
                        f"({cell['successes']}/{cell['episodes']}, "
                        f"95 % interval {100 * low:.1f} to {100 * high:.1f})"
                    )
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    tasks = names(args.tasks, list(TASKS), "--tasks")
    axes = names(args.axes, AXIS_NAMES, "--axes")
    levels = severities(args.severity)
    trained = open_run(args.workdir, args.step)
    out = args.out or args.workdir / "eval"
    manifest = build_manifest(
        tasks, axes, clean=args.worlds, per_axis=args.per_axis, severities=levels, seed=args.seed
    )
    save_manifest(out / "manifest.json", manifest)
    evaluation = Evaluation(
        trained,
        out,
        manifest,
        tasks=tasks,
        replan=args.replan,
        batch=args.batch,
        seed=args.seed,
    )
    results = evaluation.results()
    write_report(
        out / "report.html",
        results,
        title=f"{trained.config.name}, step {trained.step}",
        command=shlex.join(["wamjax", "eval", "--workdir", str(args.workdir), "--tasks", *tasks]),
        metrics=read_metrics(args.workdir),
        phases={"evaluate": results["evaluate_seconds"]},
        galleries=evaluation.pictures(),
    )
    print(json.dumps(results, indent=2) if args.json else summary(results))
    if not args.json:
        print(f"report: {out / 'report.html'}")
