"""Who sees whom: the attention mask, derived from the segments by a small table.

A table is a list of rows (query kind, key kind, relation). What no row allows is hidden. Relations:

    all      every key of that kind
    same     keys of the same time block
    past     keys of the same or an earlier time block
    before   keys of an earlier time block
"""

from typing import Literal, assert_never

import numpy as np

from wamjax.model.segments import Segment, token_table

Relation = Literal["all", "same", "past", "before"]
Visibility = tuple[tuple[str, str, Relation], ...]


def related(relation: Relation, query_block: np.ndarray, key_block: np.ndarray) -> np.ndarray:
    """Bool [N, M]: the relation holds between the time blocks of query and key."""
    query, key = query_block[:, None], key_block[None, :]
    match relation:
        case "all":
            return np.ones(np.broadcast_shapes(query.shape, key.shape), bool)
        case "same":
            return key == query
        case "past":
            return key <= query
        case "before":
            return key < query
        case _:
            assert_never(relation)


def visibility_mask(segments: tuple[Segment, ...], table: Visibility) -> np.ndarray:
    """Bool [N, N]; True where the row's token attends to the column's token.

    Raises:
        ValueError: a token of the sequence would see nothing.
    """
    tokens = token_table(segments)
    kinds = np.array([segment.kind for segment in segments])[tokens.segment]
    mask = np.zeros((len(kinds), len(kinds)), bool)
    for query, key, relation in table:
        pair = (kinds == query)[:, None] & (kinds == key)[None, :]
        mask |= pair & related(relation, tokens.block, tokens.block)
    blind = sorted(set(kinds[~mask.any(axis=1)]))
    if blind:
        raise ValueError(f"the visibility table hides everything from {', '.join(blind)}")
    return mask


def is_prefix(segments: tuple[Segment, ...], table: Visibility, count: int) -> bool:
    """Whether the first `count` segments see only one another, so that their keys can be cached."""
    tokens = token_table(segments)
    inside = tokens.segment < count
    return not visibility_mask(segments, table)[np.ix_(inside, ~inside)].any()
