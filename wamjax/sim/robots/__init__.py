"""Robots from primitive geometry, by name."""

from wamjax.sim.robots.panda import PANDA as PANDA
from wamjax.sim.robots.record import Arm as Arm
from wamjax.sim.robots.record import Robot as Robot
from wamjax.sim.robots.registry import ROBOTS as ROBOTS
from wamjax.sim.robots.registry import find_robot as find_robot
from wamjax.sim.robots.viperx import VIPERX as VIPERX
