"""Trained and frozen weights: a tree is cut in two by path patterns and put together again.

Both halves have the structure of the whole with None where the other half has its weight, so that
gradients, optimizer state and clipping see the trained half only.
"""

import re
from collections.abc import Sequence

import jax

from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.core.typing import PyTree


def trained_mask(params: PyTree, patterns: Sequence[str]) -> PyTree:
    """True at every weight whose whole path one of the regular expressions `patterns` matches.

    Raises:
        UserError: no weight is matched at all, or a pattern is not a regular expression.
    """
    try:
        compiled = [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        raise UserError(
            f"A pattern in train.stages is not a regular expression: {error}."
        ) from error

    def matches(path: tuple, _: object) -> bool:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return any(pattern.fullmatch(name) for pattern in compiled)

    mask = jax.tree_util.tree_map_with_path(matches, params)
    if not any(jax.tree.leaves(mask)):
        roots = ", ".join(sorted({path.split("/")[0] for path in leaves_by_path(params)}))
        raise UserError(
            f"The patterns {tuple(patterns)} of train.stages match no weight; "
            f"paths begin with: {roots}."
        )
    return mask


def part(tree: PyTree, mask: PyTree, keep: bool) -> PyTree:
    """`tree` with None at the leaves where `mask` is not `keep`."""
    return jax.tree.map(lambda leaf, chosen: leaf if chosen is keep else None, tree, mask)


def join(trained: PyTree, frozen: PyTree) -> PyTree:
    """The whole from its two halves."""
    return jax.tree.map(
        lambda ours, theirs: theirs if ours is None else ours,
        trained,
        frozen,
        is_leaf=lambda leaf: leaf is None,
    )
