"""LeRobot's names of pi0 and pi0.5: its modules', at full size, and the tree of openpi's own."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.pretrained.test_openpi import SMALL, VERSIONS, as_pytorch, drawn
from wamjax.core.errors import UserError
from wamjax.pretrained import openpi
from wamjax.pretrained.bijection import checked, shapes_of
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import ours, their_shapes, theirs
from wamjax.pretrained.openpi_lerobot import CAMERAS, HEAD, IDLE, WORDS, config
from wamjax.pretrained.openpi_sizes import Sizes

# SHA-256 of the lines "name shape", sorted, of the state of PI0Policy and PI05Policy of LeRobot
# 0.6.2 (7427f31) with transformers 5.5.4, built on the meta device.
STATE = {
    "pi0": "43793ec5868a88203ab9e8e2ffef91149991c42f970ed10204e7dbcef14e1c72",
    "pi05": "8a552246075f5824351aec2c813588a418717f4b1fd6f326b53a86db754c51bf",
}
# Fields that its config classes have, of those that are written.
FIELDS = {
    "n_obs_steps",
    "input_features",
    "output_features",
    "normalization_mapping",
    "paligemma_variant",
    "action_expert_variant",
    "dtype",
    "chunk_size",
    "n_action_steps",
    "max_state_dim",
    "max_action_dim",
    "num_inference_steps",
    "min_period",
    "max_period",
    "image_resolution",
    "empty_cameras",
    "tokenizer_max_length",
}


def digest(shapes) -> str:
    lines = sorted(f"{name} {x.shape}" for name, x in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def small(version, tied=True):
    return openpi.table(SMALL, version, "lerobot" if tied else "lerobot-untied")


def as_lerobot(version, seed=0):
    """(what LeRobot has of openpi's tree, our weights of that tree)."""
    tensors = drawn(SMALL, version, np.random.default_rng(seed))
    made = {f"model.{name}": x for name, x in as_pytorch(tensors, SMALL, version).items()}
    # Nothing reads it; random in published files.
    made[IDLE] = np.ones((SMALL.vocabulary, SMALL.action_width), np.float32)
    return made, ours(openpi.table(SMALL, version), tensors, openpi.target(SMALL, version))


def equal(one, other) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))


@pytest.mark.parametrize("version", VERSIONS)
def test_names_are_a_bijection_at_full_size(version):
    """With the table of words that LeRobot fills from the head, all names of its modules."""
    family = FAMILIES[f"openpi-{version}"]
    target = family.target()
    tied, untied = (family.layouts[name]() for name in ("lerobot", "lerobot-untied"))
    shapes = their_shapes(tied, target)
    state = shapes | {WORDS: shapes[HEAD]}
    assert digest(state) == STATE[version]
    used = len(shapes) - 1
    assert len({move.theirs for move in checked(tied, target, shapes)}) == used
    assert len({move.theirs for move in checked(untied, target, state)}) == used


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_openpis_tree(version):
    family, target = FAMILIES[f"openpi-{version}"], openpi.target(SMALL, version)
    named, params = as_lerobot(version)
    assert family.layout_of(named) == "lerobot"
    assert equal(ours(small(version), named, target), params)
    # Older files have no head of the expert.
    del named[IDLE]
    assert equal(ours(small(version), named, target), params)


@pytest.mark.parametrize("version", VERSIONS)
def test_trained_words_are_read_where_they_left_their_head(version):
    family, target = FAMILIES[f"openpi-{version}"], openpi.target(SMALL, version)
    named, params = as_lerobot(version)
    named[WORDS] = 2 * named[HEAD]
    assert family.layout_of(named) == "lerobot-untied"
    made = ours(small(version, tied=False), named, target)
    assert np.array_equal(made["embed_word"]["table"], named[WORDS])
    made["embed_word"] = params["embed_word"]
    assert equal(made, params)
    with pytest.raises(UserError, match=r"unexpected +model.*embed_tokens"):
        ours(small(version), named, target)


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
@pytest.mark.parametrize("version", VERSIONS)
def test_out_and_in_again(version, dtype):
    target = openpi.target(SMALL, version)
    target = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, dtype), target)
    named = {name: x.astype(dtype) for name, x in as_lerobot(version)[0].items()}
    params = ours(small(version), named, target)
    back = theirs(small(version), params)
    assert shapes_of(back) == shapes_of(named)
    assert equal(ours(small(version), back, target), params)
    assert not back[IDLE].any()
    blank = small(version).blank
    for name in named.keys() - {IDLE, *blank}:
        assert back[name].tobytes() == named[name].tobytes()
    for name in blank:
        kept = 2 * SMALL.action_width
        assert np.array_equal(back[name][:kept], named[name][:kept])
        assert not back[name][kept:].any()


@pytest.mark.parametrize("version", VERSIONS)
def test_its_config(version):
    leaves = {"embed_word/table": jax.ShapeDtypeStruct((1, 1), jnp.bfloat16)}
    made = config(Sizes(), version, leaves)
    assert made.keys() == FIELDS | {"type"}
    assert (made["type"], made["dtype"]) == (version, "bfloat16")
    pictures = {f"observation.images.{name}" for name in CAMERAS}
    assert made["input_features"].keys() == pictures | {"observation.state"}
    assert {tuple(made["input_features"][name]["shape"]) for name in pictures} == {(3, 224, 224)}
    assert made["output_features"] == {"action": {"type": "ACTION", "shape": [32]}}
    leaves = {"embed_word/table": jax.ShapeDtypeStruct((1, 1), np.float32)}
    assert config(Sizes(), version, leaves)["dtype"] == "float32"
