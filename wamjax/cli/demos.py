"""`wamjax demos`: the scripted experts' episodes, written as an RLDS data set."""

import argparse
import itertools
import json
import pathlib
from collections.abc import Iterator, Sequence

from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.core.records import Episode
from wamjax.data.writer import dataset_directory, write_rlds
from wamjax.sim.demonstrations import collect
from wamjax.sim.env import TabletopEnv
from wamjax.sim.tasks.registry import TASKS

NAME, VERSION = "tabletop", "1.0.0"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = "Example:\n  wamjax demos --task reach --episodes 512 --out data/demos"
    parser.add_argument(
        "--task",
        required=True,
        metavar="TASK[,TASK]",
        help=f"one or several of: {', '.join(TASKS)}",
    )
    parser.add_argument("--episodes", type=int, default=512, help="per task (default 512)")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="a new data set goes here")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same bytes")
    parser.add_argument("--image-size", type=int, default=48, help="pixels (default 48)")
    parser.add_argument(
        "--noise",
        type=float,
        default=1.0,
        help="disturbance of the executed actions, the recorded ones stay clean (default 1)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def episodes(
    tasks: Sequence[str], count: int, seed: int, *, image_size: int, noise: float
) -> Iterator[Episode]:
    """`count` successful episodes of each task, with progress, tasks one after the other."""
    for task in tasks:
        env = TabletopEnv(task, image_size=image_size)
        with Progress(f"demos {task}", count, "episodes") as progress:
            for episode in collect(env, count, seed, noise=noise):
                progress.advance()
                yield episode


def write_demos(
    out: pathlib.Path,
    tasks: Sequence[str],
    count: int,
    seed: int,
    *,
    image_size: int,
    noise: float,
) -> pathlib.Path:
    """Collect and write; returns the data set's directory.

    Raises:
        UserError: unknown task, a count below 1, or a data set that exists.
    """
    for task in tasks:
        if task not in TASKS:
            raise UserError(f"task {task!r} does not exist; known tasks: {', '.join(TASKS)}.")
    if count < 1:
        raise UserError(f"--episodes must be at least 1, got {count}.")
    directory = dataset_directory(out, NAME, VERSION)
    if directory.exists():
        raise UserError(f"{directory} exists; choose another --out or remove it.")
    made = episodes(tasks, count, seed, image_size=image_size, noise=noise)
    described = f"Scripted experts in wamjax's tabletop worlds: {', '.join(tasks)}."
    return write_rlds(out, NAME, VERSION, made, description=described)


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    tasks = list(dict.fromkeys(itertools.chain(args.task.split(","))))
    directory = write_demos(
        args.out,
        tasks,
        args.episodes,
        args.seed,
        image_size=args.image_size,
        noise=args.noise,
    )
    if args.json:
        print(json.dumps({"directory": str(directory), "episodes": args.episodes * len(tasks)}))
    else:
        print(f"{args.episodes * len(tasks)} episodes: {directory}")
