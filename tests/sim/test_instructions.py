"""The instruction table: every sentence fits, differs and says what it should."""

import numpy as np
import pytest

from wamjax.core.text import decode_text
from wamjax.sim import instructions
from wamjax.sim.tasks.registry import TASK_NAMES, TASKS
from wamjax.sim.variants import AXES, SEVERITIES

CASES = [(task, colour) for task in TASK_NAMES for colour in range(len(instructions.COLOURS))]


@pytest.mark.parametrize(("task", "colour"), CASES)
def test_sentences_fit_and_name_their_colour(task: str, colour: int) -> None:
    sentences = instructions.sentences(task, colour)
    name, _ = instructions.COLOURS[colour]
    thing, _ = instructions.THINGS[name]
    assert all(len(text.encode()) <= instructions.TEXT_LENGTH for text in sentences)
    clean = sentences[: instructions.CLEAN_WORDINGS]
    idle = sentences[instructions.DISTRACTION_START : instructions.DESCRIPTION_START]
    told = sentences[instructions.DESCRIPTION_START :]
    assert len(idle) == len(told) == SEVERITIES
    assert all(f"the {name} cube" in text for text in (*clean, *idle))
    assert all(name in text.split() for text in told[:2])
    assert all(name not in text.split() for text in told[2:])
    assert all(thing in text for text in told)
    others = {other for other, _ in instructions.COLOURS} - {name}
    assert not any(other in text.split() for other in others for text in sentences)


@pytest.mark.parametrize(("task", "colour"), CASES)
def test_idle_words_lie_in_the_bands(task: str, colour: int) -> None:
    sentences = instructions.sentences(task, colour)
    plain = len(sentences[0])
    bands = AXES["language"][0].bands
    idle = sentences[instructions.DISTRACTION_START : instructions.DESCRIPTION_START]
    for text, (low, high) in zip(idle, bands, strict=True):
        assert low <= len(text) - plain <= high


def test_table_holds_the_sentences() -> None:
    table = instructions.table()
    assert table.dtype == np.uint8
    for task, colour in CASES:
        rows = table[TASK_NAMES.index(task), colour]
        assert tuple(decode_text(row) for row in rows) == instructions.sentences(task, colour)
    flat = table.reshape(-1, instructions.TEXT_LENGTH)
    assert len(np.unique(flat, axis=0)) == len(flat)
    assert set(TASKS) == set(TASK_NAMES)
