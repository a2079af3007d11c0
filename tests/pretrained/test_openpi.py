"""pi0 and pi0.5: our policies are openpi's, given the same weights."""

import dataclasses
import functools
import os
import pathlib
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.pretrained import openpi_reference as reference
from wamjax.codec.patch import PatchCodec
from wamjax.core.tree import leaves_by_path
from wamjax.model.tokens import Tokens
from wamjax.pretrained import openpi
from wamjax.pretrained.bijection import checked, unfilled
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.load import load
from wamjax.pretrained.moves import expand, ours, their_shapes, theirs
from wamjax.pretrained.opened import open_tensors
from wamjax.pretrained.openpi_sizes import Sizes, Tower, Version
from wamjax.recipes import pi
from wamjax.recipes.network import network, shapes
from wamjax.recipes.program import walk
from wamjax.recipes.registry import find_recipe

VERSIONS = ("pi0", "pi05")
# The Python of an environment in which openpi can be imported.
PYTHON = os.environ.get("OPENPI_PYTHON", "")
SMALL = Sizes(
    vision=Tower(width=12, mlp=20, depth=2, heads=2, head_dim=6),
    width=24,
    mlp=40,
    action_width=16,
    action_mlp=28,
    depth=3,
    heads=4,
    kv_heads=1,
    head_dim=8,
    patch=2,
    patches=4,
    vocabulary=31,
    action=5,
)
# What openpi_model.py builds.
DUMMY = Sizes(
    vision=Tower(width=24, mlp=40, depth=2, heads=2, head_dim=12),
    width=64,
    mlp=128,
    action_width=64,
    action_mlp=128,
    depth=4,
    heads=8,
    kv_heads=1,
    head_dim=16,
    vocabulary=97,
    action=6,
)


def widths(sizes: Sizes) -> pi.Widths:
    context, action = (sizes.width, sizes.mlp), (sizes.action_width, sizes.action_mlp)
    return sizes.vision, context, action, (sizes.depth, sizes.heads, sizes.kv_heads, sizes.head_dim)


def blueprint(sizes: Sizes, version: Version, words: int, chunk: int):
    """The recipe at these sizes."""
    side = round(sizes.patches**0.5)
    shape = dataclasses.replace(
        pi.SHAPES[version]["full"],
        words=words,
        text=sizes.vocabulary,
        rows=side,
        columns=side,
        latent=3 * sizes.patch**2,
        chunk=chunk,
        action=sizes.action,
        proprio=sizes.action if version == "pi0" else 0,
    )
    # The features of the noise level are as many as the action expert is wide.
    model = openpi.config(sizes, version)
    return dataclasses.replace(pi.pi(shape, widths(sizes), version), model=model)


def supply(sizes: Sizes, given: reference.Given, segment):
    """Values of a segment, and which of its tokens there are."""
    rows = len(given.words)
    match segment.stream:
        case "image":
            frames = jnp.asarray(given.images[segment.view], jnp.float32)[:, None]
            cells = PatchCodec(patch=sizes.patch).apply({}, frames, method="encode")
            there = jnp.asarray(given.masks[segment.view])[:, None]
            values = cells.reshape(rows, segment.count, -1)
            return values, jnp.broadcast_to(there, (rows, segment.count))
        case "word":
            return jnp.asarray(given.words[..., None], jnp.float32), jnp.asarray(given.there)
        case _:
            return jnp.asarray(given.state[:, None], jnp.float32), jnp.ones((rows, 1), bool)


@functools.partial(jax.jit, static_argnums=0)
def velocity(blueprint, params, values, real, noisy, sigma):
    """Of actions at a noise level, in one pass."""
    tokens = Tokens((*values, noisy), real)
    model = network(blueprint)
    return model.apply(
        {"params": params}, blueprint.training, tokens, {"action": sigma}, method="denoise"
    )["action"]


@functools.partial(jax.jit, static_argnums=0)
def sampled(blueprint, params, values, real, noise):
    """A chunk by the recipe's program."""
    given = dict(zip(blueprint.given, zip(values, real, strict=True), strict=True))
    return walk(blueprint, params, given.__getitem__, {"action": noise})["action"]


def given_to(blueprint, sizes: Sizes, given: reference.Given):
    """(values, which tokens there are) of what is given, segment by segment."""
    return zip(*(supply(sizes, given, segment) for segment in blueprint.given), strict=True)


def drawn(sizes: Sizes, version: Version, rng):
    """Tensors with noise on every parameter, around what layers start with."""

    def draw(name, x):
        about = 1.0 if name.endswith("scale") and "img" in name else 0.0
        small = name.endswith(("bias", "scale"))
        fan = x.size / x.shape[-1] / (x.shape[0] if "/layers/" in name else 1)
        size = 0.1 if small else min(fan, 30) ** -0.5
        return (about + size * rng.normal(size=x.shape)).astype(np.float32)

    shapes = their_shapes(openpi.table(sizes, version), openpi.target(sizes, version))
    return {name: draw(name, x) for name, x in shapes.items()}


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_the_published_equations(parity, version, seed):
    """With a camera and words that are not there: positions count what is."""
    rng = np.random.default_rng(seed)
    tensors = drawn(SMALL, version, rng)
    params = ours(openpi.table(SMALL, version), tensors, openpi.target(SMALL, version))
    made = blueprint(SMALL, version, words=6, chunk=3)
    given = reference.Given(
        images=rng.uniform(-1, 1, (3, 2, 4, 4, 3)),
        masks=np.array([[True, True], [False, True], [True, False]]),
        words=rng.integers(0, SMALL.vocabulary, (2, 6)),
        there=np.arange(6) < np.array([[4], [6]]),
        state=rng.normal(size=(2, SMALL.action)),
    )
    noise = rng.normal(size=(2, 3, SMALL.action))
    weights = reference.Weights({k: x.astype(np.float64) for k, x in tensors.items()})
    values, real = given_to(made, SMALL, given)
    whole = jnp.concatenate([*real, jnp.ones(noise.shape[:2], bool)], axis=1)
    noisy = jnp.asarray(noise, jnp.float32)
    family = {"pi0": "pi0", "pi05": "pi0.5"}[version]
    with jax.default_matmul_precision("highest"):
        # Near 1 the fastest features of the level turn 250 times, beyond float32's fifth figure.
        got = velocity(made, params, values, whole, noisy, jnp.full(2, 0.03))
        chunk = sampled(made, params, values, real, noisy)
    shape = (2, whole.shape[1])
    truth = reference.velocity(weights, given, noise, 0.03)
    parity(family, "transformer, image encoder and words", seed, shape, got, truth, 1e-5)
    parity(
        family,
        "chunk of 10 steps",
        seed,
        shape,
        chunk,
        reference.sampled(weights, given, noise),
        1e-4,
    )


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="OPENPI_PYTHON names no Python that has openpi")
@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_openpis_own_policy(parity, tmp_path, version):
    """Its checkpoint is read, and gives its actions."""
    script = pathlib.Path(__file__).with_name("openpi_model.py")
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "XLA_FLAGS")}
    subprocess.run([PYTHON, script, version, "0", tmp_path], check=True, env=clean)
    sample = np.load(tmp_path / "sample.npz")
    table, target = openpi.table(DUMMY, version), openpi.target(DUMMY, version)
    params = load(open_tensors(tmp_path), table, target)
    given = reference.Given(**{f.name: sample[f.name] for f in dataclasses.fields(reference.Given)})
    chunk, words = sample["noise"].shape[1], sample["words"].shape[1]
    made = blueprint(DUMMY, version, words=words, chunk=chunk)
    values, real = given_to(made, DUMMY, given)
    with jax.default_matmul_precision("highest"):
        got = sampled(made, params, values, real, jnp.asarray(sample["noise"]))
    family = {"pi0": "pi0", "pi05": "pi0.5"}[version]
    parity(
        family, "chunk of 10 steps, openpi", 0, sample["words"].shape, got, sample["actions"], 1e-4
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_model_is_that_of_the_recipe(version):
    full = Sizes()
    assert pi.WIDTHS["full"] == widths(full)
    assert openpi.config(full, version) == pi.model(pi.WIDTHS["full"], version)
    whole = find_recipe(version).build("full")
    assert openpi.target(full, version) == shapes(whole)


def published(version: Version) -> dict[str, tuple[int, ...]]:
    """Names and shapes of openpi's public checkpoints, as its source builds them."""
    image, model = "PaliGemma/img/", "PaliGemma/llm/"
    block, encoder = f"{image}Transformer/encoderblock/", (27, 1152)
    shapes = {
        f"{image}embedding/kernel": (14, 14, 3, 1152),
        f"{image}embedding/bias": (1152,),
        f"{image}pos_embedding": (1, 256, 1152),
        f"{image}head/kernel": (1152, 2048),
        f"{image}head/bias": (2048,),
        f"{block}MlpBlock_0/Dense_0/kernel": (*encoder, 4304),
        f"{block}MlpBlock_0/Dense_0/bias": (27, 4304),
        f"{block}MlpBlock_0/Dense_1/kernel": (27, 4304, 1152),
        f"{block}MlpBlock_0/Dense_1/bias": encoder,
        f"{model}embedder/input_embedding": (257_152, 2048),
    }
    for end in ("scale", "bias"):
        shapes[f"{image}Transformer/encoder_norm/{end}"] = (1152,)
        shapes |= {f"{block}LayerNorm_{place}/{end}": encoder for place in (0, 1)}
    attention = f"{block}MultiHeadDotProductAttention_0/"
    for name in ("query", "key", "value"):
        shapes[f"{attention}{name}/kernel"] = (*encoder, 16, 72)
        shapes[f"{attention}{name}/bias"] = (27, 16, 72)
    shapes |= {f"{attention}out/kernel": (27, 16, 72, 1152), f"{attention}out/bias": encoder}
    for end, width, mlp in (("", 2048, 16_384), ("_1", 1024, 4096)):
        layer = f"{model}layers/"
        shapes |= {
            f"{layer}attn/q_einsum{end}/w": (18, 8, width, 256),
            f"{layer}attn/kv_einsum{end}/w": (18, 2, 1, width, 256),
            f"{layer}attn/attn_vec_einsum{end}/w": (18, 8, 256, width),
            f"{layer}mlp{end}/gating_einsum": (18, 2, width, mlp),
            f"{layer}mlp{end}/linear": (18, mlp, width),
        }
        norms = {f"{layer}pre_attention_norm{end}": (18,), f"{layer}pre_ffw_norm{end}": (18,)}
        for norm, lead in {**norms, f"{model}final_norm{end}": ()}.items():
            if end and version == "pi05":
                shapes[f"{norm}/Dense_0/kernel"] = (*lead, 1024, 3072)
                shapes[f"{norm}/Dense_0/bias"] = (*lead, 3072)
            else:
                shapes[f"{norm}/scale"] = (*lead, width)
    maps = {"action_in_proj": (32, 1024), "action_out_proj": (1024, 32)}
    if version == "pi0":
        maps |= {"state_proj": (32, 1024), "action_time_mlp_in": (2048, 1024)}
        maps |= {"action_time_mlp_out": (1024, 1024)}
    else:
        maps |= {"time_mlp_in": (1024, 1024), "time_mlp_out": (1024, 1024)}
    for name, shape in maps.items():
        shapes |= {f"{name}/kernel": shape, f"{name}/bias": shape[1:]}
    return shapes


@pytest.mark.parametrize("version", VERSIONS)
def test_names_are_a_bijection_at_full_size(version):
    family = FAMILIES[f"openpi-{version}"]
    make = family.layouts["openpi"]
    named = {k: jax.ShapeDtypeStruct(x, np.float32) for k, x in published(version).items()}
    target = family.target()
    checked(make(), target, named)
    weights = sum(x.size for x in jax.tree.leaves(target))
    # But for the gate of the last norm, which gates nothing.
    idle = 1025 * 1024 if version == "pi05" else 0
    assert sum(x.size for x in named.values()) == weights + idle
    assert their_shapes(make(), target) == named


@pytest.mark.parametrize("version", VERSIONS)
def test_there_and_back(version):
    table, target = openpi.table(SMALL, version), openpi.target(SMALL, version)
    tensors = drawn(SMALL, version, np.random.default_rng(0))
    back = theirs(table, ours(table, tensors, target))
    assert back.keys() == tensors.keys()
    for name, x in tensors.items():
        if name in table.blank:
            # Its gate is left out.
            kept = 2 * SMALL.action_width
            assert not back[name][..., kept:].any()
            x, back[name] = x[..., :kept], back[name][..., :kept]
        np.testing.assert_array_equal(back[name], x)
    assert {*leaves_by_path(target)} == {rule.ours for rule in table.rules}


def as_pytorch(tensors, sizes: Sizes, version: Version):
    """What openpi's script makes of its tree for PyTorch, whose linear maps are [out, in]."""
    image, model = "PaliGemma/img/", "PaliGemma/llm/"
    stem = "paligemma_with_expert.paligemma.model."
    eye = f"{stem}vision_tower.vision_model."
    block = f"{image}Transformer/encoderblock/"
    made = {
        "paligemma_with_expert.paligemma.lm_head.weight": tensors[
            f"{model}embedder/input_embedding"
        ]
    }

    def linear(theirs, ours, at=...):
        kernel, bias = tensors[f"{theirs}/kernel"][at], tensors[f"{theirs}/bias"][at]
        made[f"{ours}.bias"] = bias.reshape(-1)
        made[f"{ours}.weight"] = (
            kernel.reshape(-1, bias.size).T
            if "/out" in theirs
            else (kernel.reshape(len(kernel), -1).T)
        )

    def norm(theirs, ours, at=...):
        made[f"{ours}.weight"] = tensors[f"{theirs}/scale"][at]
        made[f"{ours}.bias"] = tensors[f"{theirs}/bias"][at]

    kernel = tensors[f"{image}embedding/kernel"]
    made[f"{eye}embeddings.patch_embedding.weight"] = kernel.transpose(3, 2, 0, 1)
    made[f"{eye}embeddings.patch_embedding.bias"] = tensors[f"{image}embedding/bias"]
    made[f"{eye}embeddings.position_embedding.weight"] = tensors[f"{image}pos_embedding"][0]
    norm(f"{image}Transformer/encoder_norm", f"{eye}post_layernorm")
    linear(f"{image}head", f"{stem}multi_modal_projector.linear")
    attention = f"{block}MultiHeadDotProductAttention_0/"
    for i in range(sizes.vision.depth):
        layer = f"{eye}encoder.layers.{i}."
        for name in ("query", "key", "value"):
            linear(f"{attention}{name}", f"{layer}self_attn.{name[0]}_proj", i)
        linear(f"{attention}out", f"{layer}self_attn.out_proj", i)
        for place in (0, 1):
            norm(f"{block}LayerNorm_{place}", f"{layer}layer_norm{place + 1}", i)
            linear(f"{block}MlpBlock_0/Dense_{place}", f"{layer}mlp.fc{place + 1}", i)

    def adaptive(theirs, ours, at=...):
        if f"{theirs}/scale" in tensors:
            made[f"{ours}.weight"] = tensors[f"{theirs}/scale"][at]
        else:
            linear(f"{theirs}/Dense_0", f"{ours}.dense", at)

    experts = {"": f"{stem}language_model.", "_1": "paligemma_with_expert.gemma_expert.model."}
    for end, own in experts.items():
        adaptive(f"{model}final_norm{end}", f"{own}norm")
        for i in range(sizes.depth):
            theirs, layer = f"{model}layers/", f"{own}layers.{i}."
            q, kv, vec = (
                tensors[f"{theirs}attn/{name}{end}/w"][i]
                for name in ("q_einsum", "kv_einsum", "attn_vec_einsum")
            )
            width = q.shape[1]
            made[f"{layer}self_attn.q_proj.weight"] = np.swapaxes(q, 1, 2).reshape(-1, width)
            made[f"{layer}self_attn.k_proj.weight"] = kv[0, 0].T
            made[f"{layer}self_attn.v_proj.weight"] = kv[1, 0].T
            made[f"{layer}self_attn.o_proj.weight"] = vec.reshape(-1, width).T
            gate, up = tensors[f"{theirs}mlp{end}/gating_einsum"][i]
            made[f"{layer}mlp.gate_proj.weight"] = gate.T
            made[f"{layer}mlp.up_proj.weight"] = up.T
            made[f"{layer}mlp.down_proj.weight"] = tensors[f"{theirs}mlp{end}/linear"][i].T
            adaptive(f"{theirs}pre_attention_norm{end}", f"{layer}input_layernorm", i)
            adaptive(f"{theirs}pre_ffw_norm{end}", f"{layer}post_attention_layernorm", i)
    for name in ("action_in_proj", "action_out_proj", "state_proj", "time_mlp_in", "time_mlp_out"):
        for before in ("", "action_"):
            if f"{before}{name}/kernel" in tensors:
                linear(f"{before}{name}", f"{before}{name}")
    return made


@pytest.mark.parametrize("version", VERSIONS)
def test_its_pytorch_export_is_the_same_tree(version):
    family = FAMILIES[f"openpi-{version}"]
    target = openpi.target(SMALL, version)
    tensors = drawn(SMALL, version, np.random.default_rng(0))
    exported = as_pytorch(tensors, SMALL, version)
    assert family.layout_of(exported) == "pytorch"
    assert family.layout_of(tensors) == "openpi"
    exported["paligemma_with_expert.gemma_expert.lm_head.weight"] = np.zeros((2, 2), np.float32)
    made = [
        ours(openpi.table(SMALL, version, layout), named, target)
        for layout, named in (("openpi", tensors), ("pytorch", exported))
    ]
    assert jax.tree.all(jax.tree.map(np.array_equal, *made))
    full = family.target()
    assert not unfilled(expand(family.layouts["pytorch"]()), full)
