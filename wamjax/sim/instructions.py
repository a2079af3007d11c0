"""Every instruction that can be given, encoded beforehand as bytes [task, colour, wording, 64].

Wordings: first a task's clean ones; then R1 "distraction", five sentences with ever more idle
words around the first clean wording; then R2 "common sense", five phrases that say the colour
through a thing that has it (the names R1 and R2 are LIBERO-Plus's, arXiv 2510.13626). What a
variant is called never stands in the text.
"""

import functools

import numpy as np

from wamjax.core.text import encode_text
from wamjax.sim.tasks.registry import TASK_NAMES, TASKS
from wamjax.sim.variants import SEVERITIES

TEXT_LENGTH = 64

COLOURS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("red", (0.85, 0.08, 0.08)),
    ("green", (0.08, 0.6, 0.15)),
    ("blue", (0.1, 0.2, 0.85)),
    ("yellow", (0.95, 0.8, 0.05)),
)
"""Name and rgb of the cubes' colours."""

THINGS = {
    "red": ("tomato", "a tomato"),
    "green": ("grass", "grass"),
    "blue": ("sea", "the sea"),
    "yellow": ("lemon", "a lemon"),
}

DISTRACTIONS = (
    "please {}",
    "would you {} now",
    "my dear friend, {} now",
    "it is sunny outside, {} now",
    "now that the kettle boils, {} ok",
)

DESCRIPTIONS = (
    "the {thing} {colour} cube",
    "the cube, {colour} as {a_thing}",
    "the cube coloured like {a_thing}",
    "the {thing} cube",
    "the {thing} one",
)

CLEAN_WORDINGS = max(len(task.wordings) for task in TASKS.values())


def sentences(task: str, colour: int) -> tuple[str, ...]:
    """All wordings of one task and colour (index into COLOURS), in order."""
    wordings = TASKS[task].wordings
    name = COLOURS[colour][0]
    thing, a_thing = THINGS[name]
    plain = f"the {name} cube"
    clean = [wordings[i % len(wordings)].format(cube=plain) for i in range(CLEAN_WORDINGS)]
    first = wordings[0].format(cube=plain)
    idle = [text.format(first) for text in DISTRACTIONS]
    told = [
        wordings[0].format(cube=text.format(thing=thing, colour=name, a_thing=a_thing))
        for text in DESCRIPTIONS
    ]
    return (*clean, *idle, *told)


@functools.cache
def table() -> np.ndarray:
    """uint8 [tasks, colours, wordings, TEXT_LENGTH]."""
    rows = [
        [
            [encode_text(text, TEXT_LENGTH) for text in sentences(task, colour)]
            for colour in range(len(COLOURS))
        ]
        for task in TASK_NAMES
    ]
    return np.array(rows, np.uint8)


DISTRACTION_START = CLEAN_WORDINGS
DESCRIPTION_START = CLEAN_WORDINGS + SEVERITIES
