"""All tasks; a new one is a file and a row here."""

from wamjax.core.errors import UserError
from wamjax.sim.tasks.push import PUSH
from wamjax.sim.tasks.reach import REACH
from wamjax.sim.tasks.record import Task

TASKS: tuple[Task, ...] = (REACH, PUSH)


def find_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        UserError: there is none.
    """
    for task in TASKS:
        if task.name == name:
            return task
    known = ", ".join(task.name for task in TASKS)
    raise UserError(f"task {name!r} does not exist; known tasks: {known}.")
