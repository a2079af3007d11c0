"""Every instruction that can be given, encoded beforehand as bytes [option, colours, wording, X].

Wordings of one task and option: first its clean ones; then R1 "distraction", five sentences with
ever more idle words around the first clean wording; then R2 "common sense", five phrases that say
the first named thing's colour through a thing that has it; then R3 "reasoning", five sentences that
say the goal and not the action, the last three with the colour said as in R2 (the names R1 to R3
are LIBERO-Plus's, arXiv 2510.13626). All but the clean ones are kept for evaluation: no
demonstration is ever told by them. What a variant is called never stands in the text.
"""

import functools
import itertools

import numpy as np

from wamjax.core.text import encode_text
from wamjax.sim.axes import SEVERITIES
from wamjax.sim.tasks.record import Task

TEXT_LENGTH = 96

COLOURS: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("red", (0.85, 0.08, 0.08)),
    ("green", (0.08, 0.6, 0.15)),
    ("blue", (0.1, 0.2, 0.85)),
    ("yellow", (0.95, 0.8, 0.05)),
)
"""Name and rgb of the colours that instructions name."""

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
    "the {thing} {colour} {noun}",
    "the {noun}, {colour} as {a_thing}",
    "the {noun} coloured like {a_thing}",
    "the {thing} {noun}",
    "the {thing} one",
)

CLEAN_WORDINGS = 3
DISTRACTION_START = CLEAN_WORDINGS
DESCRIPTION_START = DISTRACTION_START + SEVERITIES
REASON_START = DESCRIPTION_START + SEVERITIES
STARTS = {
    "distraction": DISTRACTION_START,
    "common_sense": DESCRIPTION_START,
    "reasoning": REASON_START,
}
"""Sub-axis of language -> its first wording."""
INDIRECT = 3
"""Reasons from this one on (of five) say the colour through a thing."""


def sentences(task: Task, option: int, palette: tuple[int, ...]) -> tuple[str, ...]:
    """All wordings of one task, in order.

    Args:
        task: whose.
        option: which of its options.
        palette: indices into COLOURS of the things that it names.
    """
    names = [COLOURS[index][0] for index in palette]
    plain = {slot: f"the {name} {task.noun}" for slot, name in zip("abc", names)}
    wordings, reasons = task.wordings[option], task.reasons[option]
    first = "b" if "{b}" in wordings[0].split("{a}")[0] else "a"

    def said(phrase: str) -> dict[str, str]:
        """The phrases with the first named thing described instead of named."""
        name = names["abc".index(first)]
        thing, a_thing = THINGS[name]
        told = phrase.format(thing=thing, a_thing=a_thing, colour=name, noun=task.noun)
        return plain | {first: told}

    clean = [wording.format(**plain) for wording in wordings]
    idle = [text.format(clean[0]) for text in DISTRACTIONS]
    told = [wordings[0].format(**said(phrase)) for phrase in DESCRIPTIONS]
    goals = [
        text.format(**(plain if level < INDIRECT - 1 else said(DESCRIPTIONS[level])))
        for level, text in enumerate(reasons)
    ]
    return (*clean, *idle, *told, *goals)


def code_of(palette: tuple[int, ...]) -> int:
    """The place of a palette in the table."""
    return sum(index * len(COLOURS) ** place for place, index in enumerate(palette))


@functools.cache
def table(task: Task, length: int = TEXT_LENGTH) -> np.ndarray:
    """uint8 [options, palettes, wordings, length]."""
    palettes = sorted(itertools.product(range(len(COLOURS)), repeat=task.palette), key=code_of)
    rows = [
        [
            [encode_text(text, length) for text in sentences(task, option, palette)]
            for palette in palettes
        ]
        for option in range(len(task.wordings))
    ]
    return np.array(rows, np.uint8)
