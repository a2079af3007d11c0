"""Name tables of the Wan autoencoders: bijections at full size, in both layouts."""

import hashlib

import jax
import numpy as np
import pytest

from tests.codec.wan_reference import SMALL, diffusers, pair, reference, torch
from wamjax.codec.wan_sizes import WAN21, WAN22
from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.pretrained.bijection import checked, shapes_of
from wamjax.pretrained.codecs import read, target
from wamjax.pretrained.moves import ours, their_shapes, theirs
from wamjax.pretrained.tensors import InMemory
from wamjax.pretrained.wan_vae import table

PUBLISHED = {"Wan 2.1 VAE": WAN21, "Wan 2.2 VAE": WAN22}
# SHA-256 of the lines "name shape", sorted, of the state of WanVAE_ in wan/modules/vae2_1.py and
# vae2_2.py of github.com/Wan-Video/Wan2.2, built on the meta device at the published sizes.
ORIGINAL = {
    "Wan 2.1 VAE": "3d5b088112ea6071d1e061acd5c7c8b2d05e0300a6348051d5f85e78cba6fb4a",
    "Wan 2.2 VAE": "df1561c09771a39f08562c1d9f6e0a566c5bd37b0a8cc953ba0ae809f3417f56",
}


@pytest.mark.parametrize("family", PUBLISHED)
def test_diffusers_names_at_full_size(family):
    codec = PUBLISHED[family]
    with torch.device("meta"):
        state = reference(codec).state_dict()
    shapes = {k: jax.ShapeDtypeStruct(tuple(v.shape), np.float32) for k, v in state.items()}
    assert len(checked(table(codec, "diffusers"), target(codec), shapes)) == len(state)


@pytest.mark.parametrize("family", PUBLISHED)
def test_original_names_at_full_size(family):
    codec = PUBLISHED[family]
    shapes = their_shapes(table(codec, "original"), target(codec))
    checked(table(codec, "original"), target(codec), shapes)
    lines = sorted(f"{name} {x.shape}" for name, x in shapes.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == ORIGINAL[family]


def test_original_names_are_turned_into_diffusers_as_it_does():
    made = pair("Wan 2.1 VAE", 0, 2)
    convert = diffusers.loaders.single_file_utils.convert_wan_vae_to_diffusers
    converted = convert(theirs(table(made.codec, "original"), made.weights))
    state = theirs(table(made.codec, "diffusers"), made.weights)
    assert converted.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(converted[name], value)


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@pytest.mark.parametrize("family", SMALL)
def test_out_and_in_again(family, layout):
    made = pair(family, 0, 1)
    tensors = theirs(table(made.codec, layout), made.weights)
    assert shapes_of(tensors) == their_shapes(table(made.codec, layout), target(made.codec))
    same(ours(table(made.codec, layout), tensors, target(made.codec)), made.weights)
    # Which layout it is, the names tell; our own paths are one, too.
    same(read(InMemory(tensors), made.codec), made.weights)
    same(read(InMemory(leaves_by_path(made.weights)), made.codec), made.weights)


def test_the_tensors_of_another_codec_are_refused():
    made, other = pair("Wan 2.1 VAE", 0, 1), SMALL["Wan 2.2 VAE"]
    tensors = theirs(table(made.codec, "original"), made.weights)
    with pytest.raises(UserError, match="do not fit"):
        read(InMemory(tensors), other)


def same(one, other):
    one, other = leaves_by_path(one), leaves_by_path(other)
    assert one.keys() == other.keys()
    for path, leaf in one.items():
        np.testing.assert_array_equal(leaf, other[path])
