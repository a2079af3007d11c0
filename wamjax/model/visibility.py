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


def related(
    relation: Relation, tokens: TokenTable, rows: slice, columns: slice
) -> np.ndarray | bool:
    """Bool [rows, columns]: the relation holds between query (row) and key (column)."""

    def both(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return values[rows][:, None], values[columns][None, :]

    match relation:
        case "all":
            return True
        case "same":
            query, key = both(tokens.block)
            return key == query
        case "past":
            query, key = both(tokens.block)
            return key <= query
        case "before":
            query, key = both(tokens.block)
            return key < query
        case "causal":
            query, key = both(np.arange(len(tokens.block)))
            return key <= query
        case "view":
            query, key = both(tokens.view)
            return key == query
        case "itself":
            query, key = both(np.arange(len(tokens.block)))
            return key == query
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
        window: hide keys whose time block is further away than this, except from rows that say
            "all" (an instruction has no time).
        silent: kinds that never attend (memories), and so may see nothing.

    Raises:
        ValueError: another token of the sequence would see nothing.
    """
    tokens = token_table(segments)
    ends = np.cumsum([segment.count for segment in segments])
    # Where the segments of each kind stand; a sequence may have tens of thousands of tokens.
    places: dict[str, list[slice]] = {}
    for segment, end in zip(segments, ends, strict=True):
        places.setdefault(segment.kind, []).append(slice(end - segment.count, end))
    kinds = np.array([segment.kind for segment in segments])[tokens.segment]
    mask = np.zeros((len(kinds), len(kinds)), bool)
    for query, key, relation in table:
        for rows in places.get(query, ()):
            for columns in places.get(key, ()):
                sees = related(relation, tokens, rows, columns)
                if window is not None and relation != "all":
                    apart = tokens.block[rows][:, None] - tokens.block[columns][None, :]
                    sees = sees & (np.abs(apart) <= window)
                mask[rows, columns] |= sees
    blind = sorted(set(kinds[~mask.any(axis=1)]) - silent)
    if blind:
        raise ValueError(f"the visibility table hides everything from {', '.join(blind)}")
    return mask


def is_prefix(segments: tuple[Segment, ...], table: Visibility, count: int) -> bool:
    """Whether the first `count` segments see only one another, so that their keys can be cached."""
    tokens = token_table(segments)
    inside = tokens.segment < count
    return not visibility_mask(segments, table)[np.ix_(inside, ~inside)].any()
