"""`--data-set NAME`: of a run on a mixture, whose robot and numbers the policy has."""

import argparse

from wamjax.cli.worlds import action_frame, frame_in
from wamjax.data import Statistics
from wamjax.data.windows.seats import Seat
from wamjax.eval.trained_run import Misfit, TrainedRun
from wamjax.sim.control import ActionFrame
from wamjax.sim.env import PROPRIO_PER_ARM, TabletopEnv

CLOSE = 0.01  # of a rate that counts as equal


def add_data_set(parser: argparse.ArgumentParser) -> None:
    """Add the flag."""
    parser.add_argument(
        "--data-set",
        metavar="NAME",
        help="of a run on a mixture: whose robot, cameras and numbers the policy has; default the "
        "only data set that fits",
    )


def beside(what: str, run: TrainedRun) -> str:
    """The name of an output: results of several data sets stand side by side."""
    return what if run.seat is None else f"{what}-{run.seat.name}"


def titled(run: TrainedRun) -> str:
    """What a page is of."""
    title = f"{run.config.name}, step {run.step}"
    return title if run.seat is None else f"{title}, as {run.seat.name}"


def foreign_to(task: str, action: ActionFrame | None = None) -> Misfit:
    """Why a data set's robot cannot act in these worlds: its numbers, its rate or its cameras.

    Args:
        task: of the worlds.
        action: what the user says that the numbers of an action mean; None for nothing.
    """

    def misfit(seat: Seat, statistics: Statistics) -> str:
        told = frame_in(statistics)
        if action is not None and told is not None and action != told:
            return f"acts by {told} where --action is {action}"
        env = TabletopEnv(task, action=action_frame(statistics, action))
        for what, theirs, ours in (
            ("numbers in an action", len(seat.action.at), env.action_size),
            ("numbers in a state", len(seat.proprio.at), PROPRIO_PER_ARM * len(env.robot.arms)),
        ):
            if theirs != ours:
                return f"has {theirs} {what} where these worlds have {ours}"
        if seat.hz is not None and abs(seat.hz - env.control_hz) > CLOSE * env.control_hz:
            return f"acts {seat.hz:g} times a second where these worlds do {env.control_hz:g} times"
        roles = [seat.cameras[view] for view in seat.views]
        if not {*roles} & {*env.cameras}:
            return f"looks through {', '.join(roles)} where these worlds have other cameras"
        return ""

    return misfit
