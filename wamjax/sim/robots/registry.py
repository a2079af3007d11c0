"""The robots; a new one is a file and a row here."""

from wamjax.sim.robots.panda import PANDA
from wamjax.sim.robots.record import Robot
from wamjax.sim.robots.viperx import VIPERX

ROBOTS: dict[str, Robot] = {robot.name: robot for robot in (PANDA, VIPERX)}


def find_robot(name: str) -> Robot:
    """The robot called `name`; scenes name only robots that exist."""
    return ROBOTS[name]
