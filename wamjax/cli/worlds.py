"""Flags that several verbs share: which worlds, who steps them, and what the robot looks like."""

import argparse
import pathlib
from collections.abc import Sequence

from wamjax.core.errors import UserError
from wamjax.data.normalising.statistics import Statistics
from wamjax.sim.control import ACTION_FRAMES, ActionFrame
from wamjax.sim.skins import TRIANGLES, read_skin
from wamjax.sim.stepping import PHYSICS
from wamjax.sim.tasks.registry import TASKS

# Kind and mode of a card's numbers -> what the worlds call such actions; a relative number was
# absolute before the policy's state was taken away.
FRAME_OF: dict[tuple[str, str], ActionFrame] = {
    ("position", "delta"): "ee_delta",
    ("position", "absolute"): "ee_absolute",
    ("position", "relative"): "ee_absolute",
    ("joint", "delta"): "joint_delta",
    ("joint", "absolute"): "joint_absolute",
    ("joint", "relative"): "joint_absolute",
}


def add_action(parser: argparse.ArgumentParser) -> None:
    """The flag `--action`."""
    parser.add_argument(
        "--action",
        choices=ACTION_FRAMES,
        help="what the numbers of an action mean (default: as the training data's card says, else "
        "ee_delta)",
    )


def action_frame(statistics: Statistics, given: ActionFrame | None = None) -> ActionFrame:
    """What the worlds take the policy's actions for.

    Args:
        statistics: of the training data.
        given: what the user says.

    Raises:
        UserError: the card of the training data says something else.
    """
    found = frame_in(statistics)
    if given is not None and found is not None and given != found:
        raise UserError(
            f"--action is {given}, and the card of the training data says {found}: leave it out."
        )
    return given or found or "ee_delta"


def frame_in(statistics: Statistics) -> ActionFrame | None:
    """What the card of the training data says; None where there is none, or it says nothing."""
    if statistics.layouts is None:
        return None
    for name in statistics.layouts["action"]:
        words = name.split()
        for (kind, mode), frame in FRAME_OF.items():
            if words[1] == kind and mode in words:
                return frame
    return None


def add_physics(parser: argparse.ArgumentParser) -> None:
    """The flag `--physics`."""
    parser.add_argument(
        "--physics",
        choices=PHYSICS,
        default="auto",
        help="mjx (in the compiled program), c (C MuJoCo on host threads), or auto, the faster one "
        "for the device: c on a CPU, else mjx (default auto)",
    )


def add_meshes(parser: argparse.ArgumentParser) -> None:
    """The flag `--meshes`."""
    parser.add_argument(
        "--meshes",
        type=pathlib.Path,
        metavar="DIR",
        help="a copy of github.com/google-deepmind/mujoco_menagerie, whose triangle meshes are "
        f"drawn for the robot, at most {TRIANGLES} triangles an arm; the physics stays the same "
        "(default: primitives)",
    )


def check_meshes(directory: pathlib.Path | None, tasks: Sequence[str]) -> None:
    """Refuse now what drawing the robots of these tasks would refuse later.

    Raises:
        UserError: the directory lacks the files of a robot.
    """
    for robot in sorted({TASKS[task].scene.robot for task in tasks}):
        if directory is not None:
            read_skin(directory, robot)


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
