"""The tasks, by name."""

from wamjax.sim.tasks.record import Layout as Layout
from wamjax.sim.tasks.record import Situation as Situation
from wamjax.sim.tasks.record import Task as Task
from wamjax.sim.tasks.registry import TASKS as TASKS
from wamjax.sim.tasks.registry import find_task as find_task
