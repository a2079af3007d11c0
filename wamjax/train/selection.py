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

LORA = "lora"
"""The part of the weights that holds adapters, see train.lora."""


def trained_mask(
    params: PyTree, patterns: Sequence[str], only: Sequence[str] | None = None
) -> PyTree:
    """True at every weight whose whole path one of the regular expressions `patterns` matches.

    Args:
        params: weights, or what has their structure. Where they have a part `lora`, adapters are
            matched by the path of their kernel, which itself stays as it is.
        patterns: of the stage.
        only: what else a weight has to match one of; None for nothing, with adapters for "none".

    Raises:
        UserError: no weight is matched at all, or a pattern is not a regular expression.
    """
    stage = compiled(patterns, "train.stages")
    kept = compiled(only or (), "train.only")
    names = leaves_by_path(params)
    adapted = {name.removeprefix(f"{LORA}/")[:-2] for name in names if name.startswith(f"{LORA}/")}

    def matches(path: tuple, _: object) -> bool:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name.startswith(f"{LORA}/"):
            return matched(stage, name.removeprefix(f"{LORA}/")[:-2])
        free = only is None and not adapted
        return name not in adapted and matched(stage, name) and (free or matched(kept, name))

    mask = jax.tree_util.tree_map_with_path(matches, params)
    if not any(jax.tree.leaves(mask)):
        also = "" if only is None else f" and {tuple(only)} of train.only"
        roots = ", ".join(sorted({path.split("/")[0] for path in names}))
        raise UserError(
            f"The patterns {tuple(patterns)} of train.stages{also} match no weight; "
            f"paths begin with: {roots}."
        )
    return mask


def compiled(patterns: Sequence[str], where: str) -> list[re.Pattern[str]]:
    """Regular expressions over whole paths.

    Raises:
        UserError: one of them is none; `where` says whose they are.
    """
    try:
        return [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        raise UserError(f"A pattern in {where} is not a regular expression: {error}.") from error


def matched(patterns: Sequence[re.Pattern[str]], path: str) -> bool:
    """Whether one of them matches the whole path."""
    return any(pattern.fullmatch(path) for pattern in patterns)


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
