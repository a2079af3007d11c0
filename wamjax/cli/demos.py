"""`wamjax demos`: the scripted experts' episodes, written as an RLDS data set."""

import argparse
import dataclasses
import json
import math
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

from wamjax.cli.worlds import add_meshes, add_physics, check_meshes, names
from wamjax.core.config import fingerprint
from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.core.records import Episode
from wamjax.core.runtime import versions
from wamjax.data.writing.rlds import Resumable, dataset_directory, write_rlds
from wamjax.eval.statistics import wilson
from wamjax.sim.control import ACTION_FRAMES, ActionFrame
from wamjax.sim.demonstrations import RUNS, Position, collect_from, expert_successes
from wamjax.sim.env import Looks, TabletopEnv
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.stepping import Physics
from wamjax.sim.tasks.registry import TASK_NAMES, TASKS

NAME, VERSION = "tabletop", "1.0.0"
ONE_ARM = tuple(name for name, task in TASKS.items() if len(find_robot(task.scene.robot).arms) == 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demos:
    """What to make.

    Attributes:
        tasks: by name.
        clean: episodes per task in the clean look.
        randomised: episodes per task in a look of their own, from ranges no evaluation has.
        seed: of the worlds and of the noise.
        image_size: pixels.
        noise: factor on the disturbance of the executed actions.
        physics: which implementation steps the worlds.
        action: what the numbers of an action mean.
        meshes: directory of the robot's meshes, see `TabletopEnv`; None for primitives.
    """

    tasks: tuple[str, ...]
    clean: int
    randomised: int = 0
    seed: int = 0
    image_size: int = 48
    noise: float = 1.0
    physics: Physics = "auto"
    action: ActionFrame = "ee_delta"
    meshes: str | None = None


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Interrupted, the same command goes on behind the last whole shard.\n\n"
        "Example:\n  wamjax demos --task stack --episodes 2000 --out data/demos"
    )
    parser.add_argument(
        "--task",
        required=True,
        metavar="TASK[,TASK]",
        help=f"one or several of: {', '.join(TASKS)}; all means the {len(ONE_ARM)} with one arm, "
        "since a data set holds one robot",
    )
    parser.add_argument(
        "--episodes",
        "--clean",
        dest="clean",
        type=int,
        default=512,
        help="per task, in the clean look (default 512)",
    )
    parser.add_argument(
        "--randomised",
        type=int,
        default=0,
        help="further ones per task, each with a camera, light and background of its own, from "
        "ranges that no evaluation has (default 0)",
    )
    parser.add_argument("--out", required=True, type=pathlib.Path, help="a new data set goes here")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same bytes")
    parser.add_argument("--image-size", type=int, default=48, help="pixels (default 48)")
    parser.add_argument(
        "--noise",
        type=float,
        default=1.0,
        help="disturbance of the executed actions, the recorded ones stay clean (default 1)",
    )
    parser.add_argument(
        "--action",
        choices=ACTION_FRAMES,
        default="ee_delta",
        help="what the recorded numbers mean (default ee_delta)",
    )
    add_physics(parser)
    add_meshes(parser)
    parser.add_argument(
        "--check",
        type=int,
        default=500,
        help="first play this many worlds of no demonstration and print how often the expert "
        "succeeds; 0 leaves it out (default 500)",
    )
    parser.add_argument("--shard", type=int, default=128, help="episodes a file (default 128)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _jobs(demos: Demos) -> list[tuple[str, Looks, int]]:
    """(task, look, episodes), in the order of writing."""
    rows: list[tuple[str, Looks, int]] = []
    for task in demos.tasks:
        rows.append((task, "clean", demos.clean))
        rows.append((task, "randomised", demos.randomised))
    return [row for row in rows if row[2] > 0]


def episodes_from(demos: Demos, position: Any) -> Iterator[tuple[Episode, Any]]:
    """All episodes behind `position`, with progress, job by job."""
    first, inside = (0, Position()) if position is None else (position[0], Position(**position[1]))
    for number, (task, looks, count) in enumerate(_jobs(demos)):
        start = inside if number == first else Position()
        if number < first or start.made >= count:
            continue
        env = TabletopEnv(
            task,
            image_size=demos.image_size,
            physics=demos.physics,
            action=demos.action,
            looks=looks,
            props=False,
            meshes=demos.meshes,
        )
        with Progress(f"demos {task} {looks}", count - start.made, "episodes") as progress:
            made = collect_from(env, count, demos.seed, start, noise=demos.noise)
            for episode, behind in made:
                progress.advance()
                yield episode, (number, dataclasses.asdict(behind))


def demo_tasks(text: str) -> tuple[str, ...]:
    """The tasks named by --task, each once; "all" means those that one data set can hold.

    Raises:
        UserError: an unknown name.
    """
    chosen = ONE_ARM if text == "all" else names(text, TASK_NAMES, "--task")
    return tuple(dict.fromkeys(chosen))


def check(out: pathlib.Path, demos: Demos, shard: int) -> pathlib.Path:
    """The directory that the data set goes to, once everything that was asked for can be done.

    Raises:
        UserError: unknown task, robots that differ, a number out of range, meshes that are not
            there, or a data set that exists.
    """
    if not demos.tasks:
        raise UserError(f"--task must name a task; known tasks: {', '.join(TASKS)}.")
    for task in demos.tasks:
        if task not in TASKS:
            raise UserError(f"task {task!r} does not exist; known tasks: {', '.join(TASKS)}.")
    if min(demos.clean, demos.randomised) < 0 or demos.clean + demos.randomised < 1:
        raise UserError(
            f"ask for at least 1 episode, got --episodes {demos.clean} and "
            f"--randomised {demos.randomised}."
        )
    for flag, number, least in (("--shard", shard, 1), ("--image-size", demos.image_size, 1)):
        if number < least:
            raise UserError(f"{flag} must be at least {least}, got {number}.")
    if not (math.isfinite(demos.noise) and demos.noise >= 0):
        raise UserError(f"--noise must be a number from 0 on, got {demos.noise}.")
    if not 0 <= demos.seed < RUNS:
        raise UserError(f"--seed must lie in 0..{RUNS - 1}, got {demos.seed}.")
    robots = sorted({TASKS[task].scene.robot for task in demos.tasks})
    if len(robots) > 1:
        raise UserError(
            f"one data set cannot hold the robots {' and '.join(robots)}; make one for each."
        )
    check_meshes(None if demos.meshes is None else pathlib.Path(demos.meshes), demos.tasks)
    directory = dataset_directory(out, NAME, VERSION)
    if directory.exists():
        raise UserError(f"{directory} exists; choose another --out or remove it.")
    return directory


def write_demos(out: pathlib.Path, demos: Demos, *, shard: int = 128) -> pathlib.Path:
    """Collect and write; returns the data set's directory.

    Raises:
        UserError: as `check`.
    """
    check(out, demos, shard)
    made = Resumable(
        identity=fingerprint([dataclasses.asdict(demos), versions()]),
        start=lambda position: episodes_from(demos, position),
    )
    described = f"Scripted experts in wamjax's tabletop worlds: {', '.join(demos.tasks)}."
    return write_rlds(out, NAME, VERSION, made, description=described, shard_episodes=shard)


def check_experts(demos: Demos, worlds: int) -> dict[str, dict[str, Any]]:
    """Task -> how often the expert alone succeeds, said on standard error."""
    out = {}
    for task in demos.tasks:
        env = TabletopEnv(task, physics=demos.physics, props=False)
        solved = int(expert_successes(env, worlds).sum())
        low, high = wilson(solved, worlds)
        out[task] = {"successes": solved, "episodes": worlds, "wilson95": [low, high]}
        print(
            f"{task}: the expert solves {solved} of {worlds} worlds = {100 * solved / worlds:.1f} "
            f"% (95 % interval {100 * low:.1f} to {100 * high:.1f}), physics {env.physics}",
            file=sys.stderr,
            flush=True,
        )
    return out


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    demos = Demos(
        tasks=demo_tasks(args.task),
        clean=args.clean,
        randomised=args.randomised,
        seed=args.seed,
        image_size=args.image_size,
        noise=args.noise,
        physics=args.physics,
        action=args.action,
        meshes=None if args.meshes is None else str(args.meshes),
    )
    if args.check < 0:
        raise UserError(f"--check must not be negative, got {args.check}.")
    check(args.out, demos, args.shard)
    experts = check_experts(demos, args.check) if args.check else {}
    directory = write_demos(args.out, demos, shard=args.shard)
    count = sum(row[2] for row in _jobs(demos))
    if args.json:
        print(json.dumps({"directory": str(directory), "episodes": count, "experts": experts}))
    else:
        print(f"{count} episodes: {directory}")
