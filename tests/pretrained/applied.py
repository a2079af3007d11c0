"""A name table put to use on tensors in memory, and its bijection checked as it goes."""

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import flax.linen as nn
import flax.traverse_util
import jax
import numpy as np
from einops import rearrange

from wamjax.core.typing import Params
from wamjax.pretrained.table import PLACE, Rule, Table


@dataclasses.dataclass(frozen=True)
class Place:
    """Of one tensor: the leaf, the slice of it, and how it is turned."""

    theirs: str
    ours: str
    index: tuple[Any, ...]
    turn: str


def places(table: Table) -> Iterator[Place]:
    """Where each tensor of the table stands."""
    for rule in table.rules:
        axes = PLACE.findall(rule.theirs)
        for at in itertools.product(*(range(table.counts[axis]) for axis in axes)):
            names = dict(zip(axes, at))
            index: tuple[Any, ...] = tuple(names[axis] for axis in rule.stacked)
            yield Place(
                rule.theirs.format(**names),
                rule.ours.format(**names),
                _slot(rule, index),
                rule.turn,
            )


def _slot(rule: Rule, index: tuple[Any, ...]) -> tuple[Any, ...]:
    if rule.slot is None:
        return index
    axis, place = rule.slot
    return (*index, *(slice(None),) * axis, place)


def leaves(boxed: Any) -> dict[str, Any]:
    """The leaves of a tree of weights, boxed or not, by path."""
    return flax.traverse_util.flatten_dict(nn.unbox(boxed), sep="/")


def check_bijection(
    table: Table, theirs: Mapping[str, tuple[int, ...]], boxed: Any
) -> dict[str, Place]:
    """Every tensor has one place whose shape is its own, and every element one tensor."""
    found = {place.theirs: place for place in places(table)}
    used = {name for name in theirs if not any(re.fullmatch(p, name) for p in table.ignored)}
    assert found.keys() == used, sorted(found.keys() ^ used)
    ours = leaves(boxed)
    filled = dict.fromkeys(ours, 0)
    slices = set()
    for place in found.values():
        whole = jax.ShapeDtypeStruct(theirs[place.theirs], np.float32)
        leaf = ours[place.ours]
        piece = jax.eval_shape(lambda x, at=place.index: x[at], leaf)
        turned = jax.eval_shape(
            lambda x, turn=place.turn: rearrange(x, turn, **_sizes(table, turn)) if turn else x,
            whole,
        )
        assert turned.shape == piece.shape, (place, turned.shape, piece.shape)
        slices.add((place.ours, str(place.index)))
        filled[place.ours] += turned.size
    assert len(slices) == len(found)
    assert filled == {path: leaf.size for path, leaf in ours.items()}
    return found


def _sizes(table: Table, turn: str) -> dict[str, int]:
    return {axis: size for axis, size in table.sizes.items() if axis in re.findall(r"\w+", turn)}


def applied(table: Table, tensors: Mapping[str, np.ndarray], boxed: Any) -> Params:
    """Our weights, from theirs."""
    found = check_bijection(table, {name: array.shape for name, array in tensors.items()}, boxed)
    ours = {path: np.full(leaf.shape, np.nan, np.float32) for path, leaf in leaves(boxed).items()}
    for name, place in found.items():
        array = tensors[name]
        if place.turn:
            array = rearrange(array, place.turn, **_sizes(table, place.turn))
        ours[place.ours][place.index] = array
    return flax.traverse_util.unflatten_dict({tuple(p.split("/")): a for p, a in ours.items()})
