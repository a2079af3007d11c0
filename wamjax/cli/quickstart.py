"""`wamjax quickstart`: the whole journey in minutes, each phase kept when it is done.

demos -> statistics -> train -> evaluate -> report
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import shlex
import sys
import time
from collections.abc import Callable
from typing import Any

from wamjax.cli.demos import NAME, VERSION, Demos, write_demos
from wamjax.cli.eval import Evaluation, summary
from wamjax.cli.quickstart_config import CONFIG
from wamjax.cli.sample import run_sample
from wamjax.cli.train import run_training
from wamjax.cli.worlds import add_physics
from wamjax.core.config import fingerprint, to_json
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.core.progress import seconds
from wamjax.data import read_episodes, statistics_for
from wamjax.data.looking.contact_sheet import contact_sheet
from wamjax.data.writing.rlds import dataset_directory
from wamjax.eval.report import write_report
from wamjax.eval.trained_run import open_run
from wamjax.sim.axes import AXIS_NAMES
from wamjax.sim.manifest import build_manifest, save_manifest
from wamjax.sim.stepping import resolve
from wamjax.train.metrics import read_metrics
from wamjax.train.run_config import RunConfig

TASKS = ("reach", "push")
BATCH = 64


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Writes demos/, train/, eval/, results.json and report.html under the workdir; started "
        "again, it goes on where it was.\n\n"
        "Example:\n  wamjax quickstart --workdir runs/quickstart"
    )
    parser.add_argument(
        "--workdir", type=pathlib.Path, default=pathlib.Path("runs/quickstart"), help="all outputs"
    )
    parser.add_argument("--episodes", type=int, default=384, help="demonstrations per task")
    parser.add_argument("--steps", type=int, default=CONFIG.train.steps, help="training steps")
    parser.add_argument("--worlds", type=int, default=200, help="clean worlds per task")
    parser.add_argument("--per-axis", type=int, default=40, help="worlds per axis and task")
    parser.add_argument("--replan", type=int, help="actions per plan; default half a chunk")
    parser.add_argument("--seed", type=int, default=0, help="of everything")
    add_physics(parser)
    parser.add_argument("--json", action="store_true", help="print results.json at the end")


class Phases:
    """Wall seconds per phase, kept in the workdir so that a resumed run still knows them."""

    def __init__(self, workdir: pathlib.Path, settings: Any, total: int):
        self.file, self.total, self.number = workdir / "phases.json", total, 0
        self.name = fingerprint(settings)
        if self.file.is_file():
            stored = read_json(self.file)
            if stored["settings"] != self.name:
                raise UserError(
                    f"{workdir} belongs to a quick start with other settings; choose another "
                    "--workdir."
                )
            self.seconds: dict[str, float] = stored["seconds"]
            self.done: list[str] = stored["done"]
        else:
            self.seconds, self.done = {}, []

    def run(self, name: str, work: Callable[[], Any]) -> None:
        """Do a phase, unless it is done."""
        self.number += 1
        head = f"[{self.number}/{self.total}] {name}"
        if name in self.done:
            print(f"{head}: done before in {seconds(self.seconds[name])}", file=sys.stderr)
            return
        print(head, file=sys.stderr, flush=True)
        started = time.monotonic()
        self.seconds.setdefault(name, 0.0)
        try:
            finished = work() is not False
        finally:
            self.seconds[name] += time.monotonic() - started
            self._save()
        if not finished:
            raise UserError("stopped and saved; the same command goes on.")
        self.done.append(name)
        self._save()
        print(f"{head}: {seconds(self.seconds[name])}", file=sys.stderr, flush=True)

    def _save(self) -> None:
        value = {"settings": self.name, "seconds": self.seconds, "done": self.done}
        write_json(self.file, value)


def run_config(directory: pathlib.Path, steps: int, seed: int) -> RunConfig:
    """The quick start's run on these demonstrations."""
    return dataclasses.replace(
        CONFIG,
        data=dataclasses.replace(CONFIG.data, dir=str(directory), seed=seed),
        train=dataclasses.replace(
            CONFIG.train, steps=steps, save_every=max(1, min(500, steps // 4)), seed=seed
        ),
    )


def quickstart(args: argparse.Namespace) -> dict[str, Any]:
    """All phases; returns the content of results.json."""
    workdir: pathlib.Path = args.workdir
    demos, train, evaluated = workdir / "demos", workdir / "train", workdir / "eval"
    directory = dataset_directory(demos, NAME, VERSION)
    config = run_config(directory, args.steps, args.seed)
    settings = [to_json(config), args.episodes, args.worlds, args.per_axis, args.replan]
    settings.append(resolve(args.physics))
    phases = Phases(workdir, settings, 5)
    made = Demos(
        tasks=TASKS,
        clean=args.episodes,
        seed=args.seed,
        image_size=config.system.image_size,
        physics=args.physics,
    )

    manifest = build_manifest(
        TASKS,
        AXIS_NAMES,
        clean=args.worlds,
        per_axis=args.per_axis,
        severities=(1, 2, 3, 4, 5),
        seed=args.seed,
    )

    def make_demos() -> None:
        if not directory.exists():
            write_demos(demos, made)
        contact_sheet(directory, workdir / "demos.png")

    def make_statistics() -> None:
        statistics_for(config.data, read_episodes(config.data))

    def make_weights() -> bool:
        return run_training(config, train)["finished"]

    @functools.cache
    def evaluation() -> Evaluation:
        return Evaluation(
            open_run(train),
            evaluated,
            manifest,
            tasks=TASKS,
            replan=args.replan,
            batch=BATCH,
            seed=args.seed,
            physics=args.physics,
        )

    def make_results() -> None:
        save_manifest(workdir / "manifest.json", manifest)
        write_json(workdir / "results.json", evaluation().results())

    def make_report() -> None:
        run_sample(
            evaluation().trained,
            workdir / "sample.html",
            directory=None,
            limit=256,
            show=6,
            draws=1,
            seed=args.seed,
            command=f"wamjax sample --workdir {train}",
        )
        write_report(
            workdir / "report.html",
            read_json(workdir / "results.json"),
            title="wamjax quick start",
            command=shlex.join(["wamjax", "quickstart", "--workdir", str(workdir)]),
            metrics=read_metrics(train),
            phases=phases.seconds,
            galleries=evaluation().pictures(),
        )

    phases.run("demos", make_demos)
    phases.run("statistics", make_statistics)
    phases.run("train", make_weights)
    phases.run("evaluate", make_results)
    phases.run("report", make_report)
    total = sum(phases.seconds.values())
    print(f"all phases: {seconds(total)}", file=sys.stderr, flush=True)
    return read_json(workdir / "results.json")


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    results = quickstart(args)
    if args.json:
        print(json.dumps(results, indent=2))
        return
    print(summary(results))
    print(f"contact sheet of the demonstrations: {args.workdir / 'demos.png'}")
    print(f"report: {args.workdir / 'report.html'}")
