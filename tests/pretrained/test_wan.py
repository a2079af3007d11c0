"""Wan's name tables at full size: shapes of diffusers' own models, and its own renaming."""

import dataclasses

import jax
import numpy as np
import pytest

from wamjax.pretrained import wan
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import expand, ours, their_shapes, theirs
from wamjax.pretrained.originals.video import wan_module
from wamjax.recipes.backbones import WAN_ROTARY
from wamjax.recipes.backbones import wan as expert

TINY = wan.Sizes(heads=3, head_dim=16, depth=2, mlp=80, text=12, channels=5)


def test_the_model_is_that_of_the_recipes():
    (stack,) = wan.config(TINY).stacks
    assert stack.experts == (expert("video", TINY.width, TINY.mlp),)
    assert stack.rotary == WAN_ROTARY


@pytest.mark.parametrize("name", wan.SIZES)
def test_shapes_are_those_of_diffusers_at_full_size(name):
    pytest.importorskip("diffusers")
    torch = pytest.importorskip("torch")
    with torch.device("meta"):
        model = wan_module(wan.SIZES[name]).fresh()
    published = {
        k: jax.ShapeDtypeStruct(tuple(x.shape), np.float32) for k, x in model.state_dict().items()
    }
    family = FAMILIES[name]
    target = family.target()
    # A bijection: raises a table of what differs.
    assert len(checked(family.layouts["diffusers"](), target, published)) == len(published)
    count = sum(x.size for x in jax.tree.leaves(target))
    assert count == sum(x.numel() for x in model.parameters())
    print(f"{name}: {count / 1e9:.2f} billion weights in {len(published)} tensors")


@pytest.mark.parametrize("name", wan.SIZES)
def test_original_names_hold_the_same(name):
    """Both layouts name the same slices of the same tree, with the same shapes."""
    family = FAMILIES[name]
    tables = [family.layouts[layout]() for layout in wan.LAYOUTS]
    target = family.target()
    shapes = [their_shapes(table, target) for table in tables]
    assert [*shapes[0].values()] == [*shapes[1].values()]
    moves = [[(m.ours, m.index, m.turn) for m in expand(table)] for table in tables]
    assert moves[0] == moves[1]
    for layout, own in zip(wan.LAYOUTS, shapes, strict=True):
        assert family.layout_of(own) == layout
        assert family.layout_of(f"model.net.{theirs}" for theirs in own) == layout


@pytest.mark.parametrize("sizes", [TINY, dataclasses.replace(TINY, image=10, beside=4)])
def test_diffusers_renames_original_files_as_the_tables_do(sizes):
    pytest.importorskip("torch")
    files = pytest.importorskip("diffusers.loaders.single_file_utils")
    rng = np.random.default_rng(0)
    target = wan.target(sizes)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), target)
    diffusers, original = (theirs(wan.table(sizes, layout), params) for layout in wan.LAYOUTS)
    renamed = files.convert_wan_transformer_to_diffusers(dict(original))
    assert {*renamed} == {*diffusers}
    assert all(np.array_equal(renamed[name], x) for name, x in diffusers.items())
    back = ours(wan.table(sizes, "original"), original, target)
    assert jax.tree.all(jax.tree.map(np.array_equal, back, params))
