"""`wamjax eval`: success rates in vectorised worlds, clean and along the axes, and the report."""

import argparse
import dataclasses
import json
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wamjax.cli.data_set import add_data_set, beside, foreign_to, titled
from wamjax.cli.worlds import (
    action_frame,
    add_action,
    add_meshes,
    add_physics,
    check_meshes,
    names,
    severities,
)
from wamjax.core.errors import UserError
from wamjax.data.normalising.statistics import Statistics
from wamjax.eval.evaluate import Facts, episodes_of, evaluate
from wamjax.eval.gallery import Gallery, film
from wamjax.eval.programs import Contestants, Programs
from wamjax.eval.report import write_report
from wamjax.eval.target_domain import TargetPrograms, film_target
from wamjax.eval.trained_run import TrainedRun, open_run
from wamjax.eval.worlds import Worlds
from wamjax.policy.baselines import random_policy, still_policy
from wamjax.sim.axes import AXIS_NAMES, BONUS_AXES
from wamjax.sim.control import ActionFrame
from wamjax.sim.env import TabletopEnv
from wamjax.sim.manifest import (
    MANIFESTS,
    Manifest,
    build_manifest,
    load_manifest,
    named_manifest,
    save_manifest,
)
from wamjax.sim.presets import OWN, PRESET_NAMES
from wamjax.sim.stepping import Physics
from wamjax.sim.target.play import HONOURED
from wamjax.sim.tasks.registry import TASKS
from wamjax.train.metrics import read_metrics


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Example:\n  wamjax eval --workdir runs/quickstart/train --tasks reach --axes all "
        "--severity 1-5 --worlds 200\n"
        "  wamjax eval --workdir runs/mixture --data-set tabletop --tasks reach"
    )
    parser.add_argument("--workdir", required=True, type=pathlib.Path, help="of `wamjax train`")
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        help="default WORKDIR/eval (target domain: WORKDIR/eval-target; of a data set of a mixture "
        "with its name behind)",
    )
    add_data_set(parser)
    parser.add_argument("--tasks", default="reach", help=f"of: {', '.join(TASKS)}")
    parser.add_argument(
        "--manifest",
        help="quick (350 worlds per task), standard (about 10,000 over the tasks) "
        "or a file that an evaluation wrote; instead of --axes, --severity, --worlds, --per-axis",
    )
    parser.add_argument(
        "--preset",
        choices=PRESET_NAMES,
        default=OWN,
        help=f"whose severities (default {OWN})",
    )
    parser.add_argument(
        "--axes",
        default="all",
        help=f"all, none, or of: {', '.join(AXIS_NAMES)}; and beside them: {', '.join(BONUS_AXES)}",
    )
    parser.add_argument("--severity", default="1-5", help="a number or a range (default 1-5)")
    parser.add_argument("--worlds", type=int, default=200, help="clean worlds (default 200)")
    parser.add_argument("--per-axis", type=int, default=50, help="worlds per axis (default 50)")
    parser.add_argument("--replan", type=int, help="actions per plan; default half a chunk")
    parser.add_argument(
        "--candidates",
        type=int,
        help="draw so many chunks for each that is executed, the one with the highest value "
        "(cosmos_policy; default: as in the run's config)",
    )
    parser.add_argument("--batch", type=int, default=64, help="worlds at once (default 64)")
    parser.add_argument("--seed", type=int, default=0, help="of the worlds and the sampler")
    add_action(parser)
    add_physics(parser)
    add_meshes(parser)
    parser.add_argument(
        "--domain",
        choices=("source", "target"),
        default="source",
        help="target: the stand-in for reality, C MuJoCo with other physics and OpenGL pictures on "
        "a pool of processes (docs/target.md); default source, the worlds of training",
    )
    parser.add_argument("--step", type=int, help="which checkpoint; default the newest")
    parser.add_argument("--json", action="store_true", help="print results.json at the end")


def contestants(run: TrainedRun, cameras: tuple[str, ...], replan: int | None) -> Contestants:
    """The trained policy and the two that look at nothing."""
    policy = run.policy(cameras, replan)
    statistics = run.statistics.executed
    shape = {"chunk": policy.chunk, "replan": policy.replan}
    return {
        "trained": (policy, run.weights),
        "random": random_policy(np.asarray(statistics.q01), np.asarray(statistics.q99), **shape),
        "still": still_policy(
            width=len(statistics.mean),
            gripper_dim=run.config.data.gripper_dim if run.statistics.grippers is None else None,
            hold=_held(run.statistics),
            **shape,
        ),
    }


def _held(statistics: Statistics) -> np.ndarray:
    """What stands still, [A]: no change, one place where actions are absolute, open grippers."""
    mean = np.asarray(statistics.executed.mean)
    if statistics.layouts is None or statistics.grippers is None:
        return np.zeros_like(mean)
    words = [set(name.split()) for name in statistics.layouts["action"]]
    held = np.where([bool({"absolute", "relative"} & own) for own in words], mean, 0.0)
    held[list(statistics.grippers)] = 1.0
    return held


def worlds_of(manifest: Manifest, env: TabletopEnv, task: str) -> Worlds:
    """The manifest's worlds of one task."""
    rows = [row for row in manifest.rows if row["task"] == task]
    return Worlds(
        env=env,
        variants=manifest.variants(task),
        axes=tuple(row["axis"] for row in rows),
        rows=tuple(rows),
        horizon=env.horizon,
        modes=env.task.modes,
        settings=f"physics {env.physics}" + (f", robot of {env.skin.name}" if env.skin else ""),
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
        physics: which implementation steps the worlds.
        domain: "source", or "target" for the stand-in for reality.
        meshes: directory of the robot's meshes, see `TabletopEnv`; None for primitives.
        action: what the numbers of an action mean; None for what the training data's card says.
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
        physics: Physics = "auto",
        domain: str = "source",
        meshes: pathlib.Path | None = None,
        action: ActionFrame | None = None,
    ):
        frame = action_frame(trained.statistics, action)
        system = trained.config.system
        self.trained, self.out, self.manifest, self.seed = trained, out, manifest, seed
        envs = {
            task: TabletopEnv(
                task,
                image_size=system.image_size,
                physics=physics,
                action=frame,
                text_length=system.text_length,
                meshes=meshes,
            )
            for task in tasks
        }
        self.worlds = {task: worlds_of(manifest, env, task) for task, env in envs.items()}
        self.policies = contestants(trained, envs[tasks[0]].cameras, replan)
        self.domain = domain
        self.programs = Programs(self.policies, batch=batch)
        self.target = None
        if domain == "target":
            settings = {task: f"target {place.settings}" for task, place in self.worlds.items()}
            self.worlds = {
                task: dataclasses.replace(place, settings=settings[task])
                for task, place in self.worlds.items()
            }
            self.target = TargetPrograms(self.policies, self.worlds, batch=min(batch, 32))
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
            programs=self.programs if self.target is None else self.target,
        )

    def pictures(self) -> list[Gallery]:
        """Some of the evaluated episodes, drawn, per task."""
        return [self._film(task, place) for task, place in self.worlds.items()]

    def _film(self, task: str, place: Worlds) -> Gallery:
        rows = episodes_of(self.out, "trained", task)
        if self.target is not None:
            runner = self.target.find("trained", task, place)
            return film_target(task, place, runner, episodes=rows, seed=self.seed)
        return film(
            task,
            place,
            *self.policies["trained"],
            episodes=rows,
            seed=self.seed,
            runner=self.programs.find("trained", task, place).rollout,
        )

    def close(self) -> None:
        """End the processes of the target domain."""
        if self.target is not None:
            self.target.close()


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


def chosen_manifest(args: argparse.Namespace, tasks: Sequence[str]) -> Manifest:
    """The worlds that the flags ask for.

    Raises:
        UserError: unknown names, a bad severity, or a file that is not a manifest of these tasks.
    """
    if args.manifest in MANIFESTS:
        return named_manifest(args.manifest, tasks, args.seed, args.preset)
    if args.manifest is not None:
        manifest = load_manifest(args.manifest)
        there = {row["task"] for row in manifest.rows}
        for task in tasks:
            if task not in there:
                raise UserError(
                    f"{args.manifest} has no world of {task}; it has {', '.join(sorted(there))}."
                )
        return manifest
    known = (*AXIS_NAMES, *BONUS_AXES)
    every = HONOURED if args.domain == "target" else AXIS_NAMES
    axes = every if args.axes == "all" else names(args.axes, known, "--axes")
    return build_manifest(
        tasks,
        axes,
        clean=args.worlds,
        per_axis=args.per_axis,
        severities=severities(args.severity),
        seed=args.seed,
        preset=args.preset,
    )


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    tasks = names(args.tasks, list(TASKS), "--tasks")
    manifest = chosen_manifest(args, tasks)
    if args.meshes is not None and args.domain == "target":
        raise UserError("--meshes is for the worlds of training; leave it out or --domain target.")
    check_meshes(args.meshes, tasks)
    foreign = foreign_to(tasks[0], args.action)
    opened = open_run(args.workdir, args.step, data_set=args.data_set, misfit=foreign)
    trained = opened.choosing(args.candidates)
    folder = "eval" if args.domain == "source" else "eval-target"
    out = args.out or args.workdir / beside(folder, trained)
    save_manifest(out / "manifest.json", manifest)
    evaluation = Evaluation(
        trained,
        out,
        manifest,
        tasks=tasks,
        replan=args.replan,
        batch=args.batch,
        seed=args.seed,
        physics=args.physics,
        domain=args.domain,
        meshes=args.meshes,
        action=args.action,
    )
    results = evaluation.results()
    write_report(
        out / "report.html",
        results,
        title=titled(trained),
        command=shlex.join(["wamjax", *sys.argv[1:]]),
        metrics=read_metrics(args.workdir),
        phases={"evaluate": results["evaluate_seconds"]},
        galleries=evaluation.pictures(),
    )
    evaluation.close()
    print(json.dumps(results, indent=2) if args.json else summary(results))
    if not args.json:
        print(f"report: {out / 'report.html'}")
