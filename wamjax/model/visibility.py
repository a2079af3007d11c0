"""Who sees whom: the attention mask, derived from the segments by a small table.

A table is a list of rows (query kind, key kind, relation). What no row allows is hidden. Relations:

    all      every key of that kind
    same     keys of the same time block
    past     keys of the same or an earlier time block
    before   keys of an earlier time block
    causal   keys that stand no later in the sequence
    view     keys of the same camera
    itself   the token alone

Cross-attention reads the same table: a row (query kind, memory kind, relation).
"""

from typing import Literal, assert_never

import numpy as np

from wamjax.model.segments import Segment, TokenTable, token_table

Relation = Literal["all", "same", "past", "before", "causal", "view", "itself"]
Visibility = tuple[tuple[str, str, Relation], ...]


def related(relation: Relation, tokens: TokenTable) -> np.ndarray:
    """Bool [N, N]: the relation holds between query (row) and key (column)."""
    block = tokens.block
    place = np.arange(len(block))
    match relation:
        case "all":
            return np.ones((len(block), len(block)), bool)
        case "same":
            return block[None, :] == block[:, None]
        case "past":
            return block[None, :] <= block[:, None]
        case "before":
            return block[None, :] < block[:, None]
        case "causal":
            return place[None, :] <= place[:, None]
        case "view":
            return tokens.view[None, :] == tokens.view[:, None]
        case "itself":
            return place[None, :] == place[:, None]
        case _:
            assert_never(relation)


def visibility_mask(
    segments: tuple[Segment, ...],
    table: Visibility,
    *,
    window: int | None = None,
    silent: frozenset[str] = frozenset(),
) -> np.ndarray:
    """Bool [N, N]; True where the row's token attends to the column's token.

    Args:
        window: hide keys whose time block is further away than this.
        silent: kinds that never attend (memories), and so may see nothing.

    Raises:
        ValueError: another token of the sequence would see nothing.
    """
    tokens = token_table(segments)
    kinds = np.array([segment.kind for segment in segments])[tokens.segment]
    mask = np.zeros((len(kinds), len(kinds)), bool)
    for query, key, relation in table:
        pair = (kinds == query)[:, None] & (kinds == key)[None, :]
        if pair.any():
            mask |= pair & related(relation, tokens)
    if window is not None:
        mask &= np.abs(tokens.block[:, None] - tokens.block[None, :]) <= window
    blind = sorted(set(kinds[~mask.any(axis=1)]) - silent)
    if blind:
        raise ValueError(f"the visibility table hides everything from {', '.join(blind)}")
    return mask


def is_prefix(segments: tuple[Segment, ...], table: Visibility, count: int) -> bool:
    """Whether the first `count` segments see only one another, so that their keys can be cached."""
    tokens = token_table(segments)
    inside = tokens.segment < count
    return not visibility_mask(segments, table)[np.ix_(inside, ~inside)].any()
