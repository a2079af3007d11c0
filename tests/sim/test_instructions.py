"""The instruction table: every sentence fits, differs and says what it should."""

import numpy as np
import pytest

from wamjax.core.text import decode_text
from wamjax.recipes.config import SystemConfig
from wamjax.sim import instructions
from wamjax.sim.axes import ALL_AXES, SEVERITIES
from wamjax.sim.tasks.registry import TASK_NAMES, TASKS

PALETTES = ((0, 1, 2), (3, 2, 0), (1, 3, 2))
CASES = [
    (name, option, palette[: TASKS[name].palette])
    for name in TASK_NAMES
    for option in range(len(TASKS[name].wordings))
    for palette in PALETTES
]


def said(name: str, option: int, palette: tuple[int, ...]) -> tuple[str, ...]:
    return instructions.sentences(TASKS[name], option, palette)


@pytest.mark.parametrize(("name", "option", "palette"), CASES)
def test_sentences_fit_differ_and_name_only_what_is_there(
    name: str, option: int, palette: tuple[int, ...]
) -> None:
    sentences = said(name, option, palette)
    assert len(sentences) == instructions.CLEAN_WORDINGS + 3 * SEVERITIES
    assert all(len(text.encode()) <= instructions.TEXT_LENGTH for text in sentences)
    assert all("{" not in text for text in sentences)
    assert len(set(sentences)) == len(sentences)
    there = {instructions.COLOURS[index][0] for index in palette}
    absent = {colour for colour, _ in instructions.COLOURS} - there
    assert not any(colour in text.split() for colour in absent for text in sentences)


@pytest.mark.parametrize(("name", "option", "palette"), CASES)
def test_descriptions_leave_out_the_colour(
    name: str, option: int, palette: tuple[int, ...]
) -> None:
    start = instructions.DESCRIPTION_START
    told = said(name, option, palette)[start : start + SEVERITIES]
    things = [instructions.THINGS[instructions.COLOURS[index][0]][0] for index in palette]
    colours = [instructions.COLOURS[index][0] for index in palette]
    for rank, text in enumerate(told):
        (which,) = [place for place, thing in enumerate(things) if thing in text]
        assert (colours[which] in text.split()) == (rank < 2)


@pytest.mark.parametrize(("name", "option", "palette"), CASES)
def test_idle_words_lie_in_the_bands(name: str, option: int, palette: tuple[int, ...]) -> None:
    sentences = said(name, option, palette)
    plain = len(sentences[0])
    (row,) = [sub for sub in ALL_AXES["language"] if sub.name == "distraction"]
    idle = sentences[instructions.DISTRACTION_START : instructions.DESCRIPTION_START]
    for text, (low, high) in zip(idle, row.bands, strict=True):
        assert low <= len(text) - plain <= high


@pytest.mark.parametrize("name", TASK_NAMES)
def test_options_and_colours_are_told_apart(name: str) -> None:
    """Of two worlds that differ in the option or in the colours only, each is told otherwise."""
    options = range(len(TASKS[name].wordings))
    pair = [palette[: TASKS[name].palette] for palette in ((0, 1, 2), (1, 0, 2))]
    for option in options:
        assert said(name, option, pair[0])[0] != said(name, option, pair[1])[0]
    assert len({said(name, option, pair[0])[0] for option in options}) == len(options)


@pytest.mark.parametrize("name", TASK_NAMES)
def test_table_holds_the_sentences(name: str) -> None:
    task = TASKS[name]
    table = instructions.table(task)
    assert table.dtype == np.uint8
    for option in range(len(task.wordings)):
        for palette in PALETTES:
            chosen = palette[: task.palette]
            rows = table[option, instructions.code_of(chosen)]
            assert tuple(decode_text(row) for row in rows) == said(name, option, chosen)


@pytest.mark.parametrize("name", ["reach", "push"])
def test_quick_start_sentences_fit_its_model(name: str) -> None:
    longest = max(len(text.encode()) for palette in PALETTES for text in said(name, 0, palette[:2]))
    assert longest <= SystemConfig.__dataclass_fields__["text_length"].default
