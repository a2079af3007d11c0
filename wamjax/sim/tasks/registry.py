"""All tasks; a new one is a file and a row here."""

from wamjax.core.errors import UserError
from wamjax.sim.tasks.bimanual_lift import BIMANUAL_LIFT
from wamjax.sim.tasks.drawer import DRAWER
from wamjax.sim.tasks.handover import HANDOVER
from wamjax.sim.tasks.lift import LIFT
from wamjax.sim.tasks.place import PLACE
from wamjax.sim.tasks.push import PUSH
from wamjax.sim.tasks.reach import REACH
from wamjax.sim.tasks.record import Task
from wamjax.sim.tasks.sort import SORT
from wamjax.sim.tasks.stack import STACK, STACK3

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        REACH,
        PUSH,
        LIFT,
        PLACE,
        STACK,
        STACK3,
        DRAWER,
        SORT,
        HANDOVER,
        BIMANUAL_LIFT,
    )
}
TASK_NAMES = tuple(TASKS)


def find_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        UserError: there is none.
    """
    if name not in TASKS:
        raise UserError(f"task {name!r} does not exist; known tasks: {', '.join(TASKS)}.")
    return TASKS[name]
