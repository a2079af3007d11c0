"""Name tables: both directions are inverse, and what is no bijection is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pretrained.tables import families
from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.pretrained.bijection import checked, shapes_of
from wamjax.pretrained.moves import expand, ours, their_shapes, theirs
from wamjax.pretrained.table import Idle, Rule, Table


def target_of(params):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)


def same(a, b):
    a, b = leaves_by_path(a), leaves_by_path(b)
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[name], b[name]) for name in a)


@settings(max_examples=60, deadline=None)
@given(families())
def test_both_directions_are_inverse(family):
    table, params = family
    target = target_of(params)
    tensors = theirs(table, params)
    assert shapes_of(tensors) == their_shapes(table, target)
    back = ours(table, tensors, target)
    same(back, params)
    same(theirs(table, back), tensors)
    # Every number is moved once.
    assert sum(x.size for x in tensors.values()) == sum(x.size for x in jax.tree.leaves(params))


@settings(max_examples=40, deadline=None)
@given(families(), st.data())
def test_what_is_no_bijection_is_refused(family, data):
    table, params = family
    target, tensors = target_of(params), theirs(table, params)
    name = data.draw(st.sampled_from(sorted(tensors)))
    missing = {k: v for k, v in tensors.items() if k != name}
    with pytest.raises(UserError, match="1 missing"):
        ours(table, missing, target)
    with pytest.raises(UserError, match="1 unexpected"):
        ours(table, {**tensors, "more": np.zeros(2)}, target)
    with pytest.raises(UserError, match="1 wrong shape"):
        ours(table, {**tensors, name: np.zeros((*tensors[name].shape, 2))}, target)
    rule = data.draw(st.integers(0, len(table.rules) - 1))
    fewer = table.rules[:rule] + table.rules[rule + 1 :]
    with pytest.raises(UserError, match="not filled"):
        checked(dataclasses.replace(table, rules=fewer), target, shapes_of(tensors))
    twice = dataclasses.replace(table, rules=(*table.rules, table.rules[rule]))
    with pytest.raises(UserError, match="filled twice"):
        checked(twice, target, shapes_of(tensors))


def test_the_example_of_the_docstring():
    rule = Rule("blocks.{layer}.to_q.weight", "qkv/kernel", "(h d) w -> w h d", slot=(2, 0))
    table = Table(rules=(rule,), counts={"layer": 2}, sizes={"h": 3})
    move = expand(table)[1]
    assert (move.theirs, move.ours) == ("blocks.1.to_q.weight", "qkv/kernel")
    assert move.index == (1, slice(None), slice(None), 0, ...)
    # Axis 2 of the slice [w, h, s, d] holds query, key and value.
    assert move.their_shape((2, 5, 3, 3, 4)) == (12, 5)


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (Rule("a", "b"), "no such leaf"),
        (Rule("a", "x", slot=(5, 0)), "no such axis"),
        (Rule("a", "x", slot=(0, 9)), "out of range"),
        (Rule("a", "x", "i j k -> k j i"), "wrong shape"),
    ],
)
def test_a_table_of_another_tree_is_refused(rule, kind):
    target = {"x": jax.ShapeDtypeStruct((4, 2), jnp.float32)}
    with pytest.raises(UserError, match=kind):
        checked(Table(rules=(rule,)), target, {"a": jax.ShapeDtypeStruct((4, 2), jnp.float32)})


def test_names_that_are_no_weights_are_ignored_and_a_prefix_is_found():
    table = Table(rules=(Rule("w", "x"),), ignored=(r"steps_\d+",))
    target = {"x": jax.ShapeDtypeStruct((2,), jnp.float32)}
    found = {"w": target["x"], "steps_7": target["x"]}
    assert len(checked(table, target, found)) == 1
    with pytest.raises(UserError, match=r"prefix 'model\.'"):
        checked(table, target, {f"model.{name}": x for name, x in found.items()})


def test_no_memory_at_full_size():
    rule = Rule("b.{layer}", "x", "(h d) w -> w h d")
    table = Table(rules=(rule,), counts={"layer": 40}, sizes={"h": 40})
    target = {"x": jax.ShapeDtypeStruct((40, 2**20, 40, 2**12), jnp.float32)}
    assert their_shapes(table, target)["b.3"].shape == (40 * 2**12, 2**20)


PARTS = Table(
    rules=(
        Rule("a", "x", "l (s d) -> s l d", part=(1, 3)),
        Rule("a", "y", "l (s d) -> s l d", slot=(1, 0), part=(0, 3)),
        Rule("b", "y", slot=(1, 1)),
    ),
    sizes={"s": 3},
    blank=("a",),
)
PARTED = {"x": np.ones((2, 5), np.int32), "y": np.arange(20, dtype=np.int32).reshape(2, 2, 5)}


def test_parts_of_a_tensor_go_their_ways_and_come_together():
    """What is not read of it comes back as zeros."""
    tensors = theirs(PARTS, PARTED)
    assert shapes_of(tensors) == their_shapes(PARTS, target_of(PARTED))
    want = np.concatenate([PARTED["y"][:, 0], PARTED["x"], np.zeros((2, 5))], axis=1)
    np.testing.assert_array_equal(tensors["a"], want)
    tensors["a"][:, 10:] = 7
    same(ours(PARTS, tensors, target_of(PARTED)), PARTED)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"blank": ()}, "not read"),
        ({"rules": (*PARTS.rules, Rule("a", "z", PARTS.rules[0].turn, part=(3, 3)))}, "not read"),
        ({"rules": (*PARTS.rules, Rule("a", "z", PARTS.rules[0].turn, part=(1, 3)))}, "used twice"),
    ],
)
def test_parts_that_are_forgotten_or_taken_twice_are_told(change, kind):
    table = dataclasses.replace(PARTS, **change)
    leaves = {**PARTED, "z": PARTED["x"]} if "rules" in change else PARTED
    with pytest.raises(UserError, match=f"{kind} +a"):
        checked(table, target_of(leaves), shapes_of(theirs(PARTS, PARTED)))


@pytest.mark.parametrize("there", [True, False])
def test_what_nothing_reads_may_be_there_and_is_written_as_zeros(there):
    table = dataclasses.replace(PARTS, idle=(Idle("head.w", (2, 3), like="b"),))
    tensors = theirs(table, PARTED)
    assert shapes_of(tensors) == their_shapes(table, target_of(PARTED))
    np.testing.assert_array_equal(tensors["head.w"], np.zeros((2, 3), np.int32))
    if not there:
        del tensors["head.w"]
    same(ours(table, tensors, target_of(PARTED)), PARTED)
    with pytest.raises(UserError, match=r"unexpected +headxw"):
        ours(table, {**tensors, "headxw": tensors["b"]}, target_of(PARTED))
