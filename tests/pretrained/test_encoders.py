"""An encoder is found in its own file and in that of a whole model, in any layout."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.codec import bert, davit, florence2, qwen3, qwen3_vision, qwen3_vl, t5, vit
from wamjax.core.errors import UserError
from wamjax.core.tree import leaves_by_path
from wamjax.pretrained import encoders
from wamjax.pretrained.bijection import checked, unfilled
from wamjax.pretrained.licences import LICENCES
from wamjax.pretrained.moves import expand, theirs
from wamjax.pretrained.tensors import InMemory

READS = qwen3.sizes(20, 8, 12, 3, 4, 2, 6, across=(1, 1), pads=(18, 19))
LOOKS = qwen3_vision.sizes(2, 16, 12, 2, out=8, grid=3, taps=(0, 1), patch=2)
TINY = {
    "umt5": t5.T5Encoder(t5.sizes(20, 8, 12, 2, 2, 4, every_layer=True)),
    "t5": t5.T5Encoder(t5.sizes(20, 8, 12, 2, 2, 4, gated=False)),
    "bert": bert.BertEncoder(bert.sizes(20, 8, 12, 2, 2, places=9)),
    "siglip": vit.VitEncoder(vit.siglip(2, 8, 12, 2, patch=2, grid=3)),
    "dinov2": vit.VitEncoder(vit.dinov2(2, 8, 2, registers=2, patch=2, grid=3)),
    "clip": vit.VitEncoder(vit.clip(2, 8, 12, 2, patch=2, grid=3)),
    "v_jepa2": vit.VitEncoder(vit.v_jepa2(2, 16, 2, patch=2)),
    "qwen3_vl": qwen3_vl.Qwen3VlEncoder(qwen3_vl.Qwen3VlSizes(vision=LOOKS, language=READS)),
    "florence2": florence2.Florence2Encoder(
        florence2.sizes(davit.davit((8, 12), (1, 2), head_dim=4, window=2), 8, 12, 2, 2)
    ),
}
# Which of the tables fit: UMT5 and CLIP have Wan's beside transformers', Florence-2 Microsoft's.
FIT = {"umt5": (0, 1), "t5": (0,), "bert": (0,), "siglip": (0,), "dinov2": (1,)}
FIT |= {"clip": (2, 4), "v_jepa2": (3,), "qwen3_vl": (0,), "florence2": (0, 1, 2, 3)}
CASES = [(name, place) for name, places in FIT.items() for place in places]


def written(name, place, prefix):
    """Weights of an encoder, and the tensors of a file that holds them among others."""
    encoder = TINY[name]
    rng = np.random.default_rng(0)
    draw = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), encoders.target(encoder)
    )
    table = encoders.TABLES[type(encoder)][place](encoder.sizes)
    tensors = {prefix + key: value for key, value in theirs(table, draw).items()}
    if prefix:
        tensors["text_model.embeddings.weight"] = np.zeros(3, np.float32)
    return draw, tensors


@pytest.mark.parametrize(("name", "place"), CASES)
@pytest.mark.parametrize("prefix", ["", "model.tower."])
def test_it_is_found(name, place, prefix):
    draw, tensors = written(name, place, prefix)
    got = encoders.read(InMemory(tensors), TINY[name])
    wanted = leaves_by_path(draw)
    for path, leaf in leaves_by_path(got).items():
        np.testing.assert_array_equal(leaf, wanted[path])


def test_what_is_missing_is_told():
    _, tensors = written("bert", 0, "")
    del tensors["encoder.layer.1.output.dense.bias"]
    with pytest.raises(UserError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        encoders.read(InMemory(tensors), TINY["bert"])


def test_types_of_the_file_are_kept():
    _, tensors = written("t5", 0, "")
    half = {name: value.astype(jnp.bfloat16) for name, value in tensors.items()}
    got = encoders.read(InMemory(half), TINY["t5"])
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize("family", encoders.FAMILIES, ids=lambda family: family.name)
def test_families_are_filled_and_have_a_licence(family):
    assert family.licence in LICENCES
    for make in family.layouts.values():
        assert not unfilled(expand(make()), family.target())


@dataclasses.dataclass(frozen=True)
class Named:
    """What a file says of its tensors, without them."""

    shapes: dict
    files: tuple = ()

    def read(self, name):
        raise AssertionError(name)


@pytest.mark.parametrize(
    ("kind", "model", "config", "prefix"),
    [
        ("siglip", "SiglipModel", "SiglipConfig", "vision_model."),
        ("clip", "CLIPModel", "CLIPConfig", "vision_model."),
        ("siglip", "PaliGemmaForConditionalGeneration", "PaliGemmaConfig", "vision_tower."),
    ],
)
def test_it_is_found_in_files_of_whole_models(kind, model, config, prefix):
    """Of transformers."""
    pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
    hf = pytest.importorskip("transformers", reason="the extra `reference` brings it")
    from tests.pretrained.theirs import shapes

    encoder = TINY[kind]
    layers = encoder.sizes.layers
    vision = {
        "hidden_size": layers.width,
        "num_hidden_layers": layers.depth + (kind == "clip"),
        "num_attention_heads": layers.heads,
        "intermediate_size": layers.mlp,
        "image_size": encoder.sizes.patch * encoder.sizes.grid,
        "patch_size": encoder.sizes.patch,
    }
    if model.startswith("Pali"):
        vision["model_type"] = "siglip_vision_model"
    whole = getattr(hf, config)(vision_config=vision)
    named = Named(shapes(lambda: getattr(hf, model)(whole)))
    below, table = encoders.found(named, encoder)
    assert prefix in below.prefix
    checked(table, encoders.target(encoder), below.shapes)
