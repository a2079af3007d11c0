"""Worlds: tabletop scenes in MJX, tasks, experts, perturbations and pictures."""

from wamjax.sim.axes import AXES as AXES
from wamjax.sim.env import TabletopEnv as TabletopEnv
from wamjax.sim.tasks.registry import TASKS as TASKS
from wamjax.sim.variants import Variant as Variant
from wamjax.sim.variants import make_variant as make_variant
