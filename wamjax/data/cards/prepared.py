"""A recorded episode and its card -> actions and states in one convention.

RLDS leaves the action of a step marked `is_last` undefined, so it is not ok; neither is the action
of a run that the episode's end cuts short.
"""

import dataclasses

import numpy as np

from wamjax.data.cards.card import Card, Quantity
from wamjax.data.cards.columns import KEPT, Column, Columns, Width, numbers
from wamjax.data.cards.striding import stride
from wamjax.data.sources.source import RawEpisode, StepValue

OK = "(ok)"
"""bool [T]: the action of each row is real."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """T' steps of an episode.

    Attributes:
        actions: float32 [T', A]; action t leads from step t to step t + 1.
        action_ok: bool [T'].
        proprio: float32 [T', P].
        texts: for each column of instructions that a card names (one, if it names none), T' of
            them; "" where there is none.
        kept: int64 [T'], which recorded steps these are (their images belong to them).
    """

    actions: np.ndarray
    action_ok: np.ndarray
    proprio: np.ndarray
    texts: tuple[list[str], ...]
    kept: np.ndarray


def prepare(card: Card, episode: RawEpisode) -> Prepared:
    """The episode's numbers as the card says.

    Raises:
        ValueError: the episode does not fit the card, has a number that is not finite, or has no
            step left.
    """
    columns: Columns = {key: _recorded(episode, key, width) for key, width in card.raw.items()}
    real = np.full(episode.length, bool(card.action.keys)) & ~last_of(episode)
    columns |= {KEPT: np.arange(episode.length), OK: real}
    for transform in card.transforms:
        try:
            columns = transform(columns)
        except ValueError as error:
            raise ValueError(f"{transform.name}: {error}") from error
    kept, ok = np.asarray(columns[KEPT]), np.asarray(columns[OK])
    if not len(kept):
        raise ValueError(f"no step of {episode.length} is left")
    actions = _side_by_side("action", card.action, columns)
    proprio = _side_by_side("state", card.state, columns)
    texts = _texts(card, columns)
    if card.stride > 1:
        starts = np.arange(0, len(kept), card.stride)
        actions = stride(actions, card.action.layout, card.stride)
        whole = np.logical_and.reduceat(ok, starts)
        whole[-1] &= len(kept) % card.stride == 0
        kept, ok, proprio = kept[starts], whole, proprio[starts]
        texts = tuple(column[:: card.stride] for column in texts)
    return Prepared(actions, ok, proprio, texts, kept)


def _recorded(episode: RawEpisode, key: str, width: Width) -> Column:
    if key not in episode.steps:
        raise ValueError(f"steps/{key} is missing")
    value = episode.steps[key]
    if not isinstance(width, int):
        if isinstance(value, np.ndarray):
            raise ValueError(f"steps/{key} holds numbers instead of {width}")
        if not isinstance(value, list):
            raise ValueError(f"steps/{key} holds pictures instead of {width}")
        return value
    if not isinstance(value, np.ndarray):
        raise ValueError(f"steps/{key} holds bytes instead of numbers")
    rows = value.reshape(episode.length, -1)
    if rows.shape[1] != width:
        raise ValueError(f"steps/{key} has {rows.shape[1]} numbers a step instead of {width}")
    return rows


def _side_by_side(what: str, quantity: Quantity, columns: Columns) -> np.ndarray:
    """float32 [T, width]."""
    empty = np.zeros((len(columns[KEPT]), 0), np.float32)
    parts = [numbers(columns, key).astype(np.float32) for key in quantity.keys]
    rows = np.concatenate([empty, *parts], axis=1)
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        step = int(np.asarray(columns[KEPT])[bad.argmax()])
        raise ValueError(f"the {what} is not finite at step {step}")
    return rows


def _texts(card: Card, columns: Columns) -> tuple[list[str], ...]:
    kept = np.asarray(columns[KEPT])
    if not card.instructions:
        return ([""] * len(kept),)
    return tuple(texts_of(columns[key], key, kept) for key in card.instructions)


def last_of(episode: RawEpisode) -> np.ndarray:
    """bool [T]: the steps that are marked `is_last`.

    Raises:
        ValueError: the mark is not one number a step.
    """
    if "is_last" not in episode.steps:
        return np.zeros(episode.length, bool)
    marks = episode.steps["is_last"]
    if not isinstance(marks, np.ndarray) or marks.size != episode.length:
        raise ValueError("steps/is_last is not one number a step")
    return marks.astype(bool).reshape(episode.length)


def texts_of(values: StepValue, name: str, kept: np.ndarray) -> list[str]:
    """Instructions as words.

    Args:
        values: encoded, [T'].
        name: of their column.
        kept: int [T'], which recorded steps these are.

    Raises:
        ValueError: one of them is not UTF-8.
    """
    assert isinstance(values, list)
    out = []
    for t, text in zip(kept, values, strict=True):
        try:
            out.append(bytes(text).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(f"steps/{name} at step {t} is not UTF-8") from error
    return out
