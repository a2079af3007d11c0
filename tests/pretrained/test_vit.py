"""Our vision transformers are transformers', given the same weights."""

import dataclasses
import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
pytest.importorskip("transformers", reason="the reference; the extra `reference` brings it")

from tests.pretrained import theirs  # noqa: E402
from wamjax.codec import vit  # noqa: E402
from wamjax.codec.resampling import resampling  # noqa: E402
from wamjax.core.typing import Params  # noqa: E402
from wamjax.pretrained import vit as tables  # noqa: E402
from wamjax.pretrained.bijection import checked  # noqa: E402
from wamjax.pretrained.moves import expand, ours  # noqa: E402
from wamjax.pretrained.originals import Module, sight  # noqa: E402
from wamjax.pretrained.originals.inputs import pixels_of  # noqa: E402
from wamjax.pretrained.table import Table  # noqa: E402

TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Case:
    """A family: our tiny one, theirs, the table, and (T, H, W) in tokens and batch to try it on."""

    sizes: vit.VitSizes
    make: Callable[[vit.VitSizes], Module]
    table: Callable[[vit.VitSizes], Table]
    grids: tuple[tuple[int, int, int], ...]


CASES = {
    "SigLIP": Case(
        vit.siglip(2, 36, 50, 3, patch=4, grid=5),
        sight.siglip_module,
        tables.transformers_siglip,
        ((1, 5, 5), (3, 5, 5)),
    ),
    "DINOv2": Case(
        vit.dinov2(3, 32, 4, patch=4, grid=5),
        sight.dinov2_module,
        tables.transformers_dinov2,
        ((1, 5, 5), (2, 3, 7)),
    ),
    "DINOv2 with registers": Case(
        vit.dinov2(3, 32, 4, registers=4, patch=4, grid=5),
        sight.dinov2_module,
        tables.transformers_dinov2,
        ((2, 5, 5), (1, 3, 7)),
    ),
    "CLIP": Case(
        vit.clip(2, 32, 48, 4, patch=4, grid=5),
        sight.clip_module,
        tables.transformers_clip,
        ((1, 5, 5), (2, 5, 5)),
    ),
    "V-JEPA2": Case(
        vit.v_jepa2(2, 40, 2, patch=4),
        sight.v_jepa2_module,
        tables.transformers_v_jepa2,
        ((3, 4, 4), (1, 4, 4)),
    ),
}


def fresh(sizes: vit.VitSizes) -> Params:
    """Shapes of our weights."""
    frames = jax.ShapeDtypeStruct(
        (1, sizes.frames, 2 * sizes.patch, 2 * sizes.patch, 3), jnp.float32
    )
    made = jax.eval_shape(vit.VitEncoder(sizes).init, jax.random.key(0), frames)
    return nn.unbox(made["params"])


@functools.partial(jax.jit, static_argnums=(0, 1))
def encoded(sizes, dtype, params, frames):
    return vit.VitEncoder(sizes, dtype).apply({"params": params}, frames)


def their_tokens(model, sizes: vit.VitSizes, frames: np.ndarray, dtype) -> np.ndarray:
    """What their encoder says of frames [B, T, H, W, 3] in [-1, 1], in our shape."""
    with torch.no_grad():
        pixels = torch.tensor(pixels_of(frames, sizes.pixels)).to(dtype)
        return sight.vit_tokens(model, sizes, pixels)


@pytest.mark.parametrize("place", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_it_is_theirs(parity, name, place):
    case = CASES[name]
    sizes = case.sizes
    length, rows, columns = case.grids[place]
    model = theirs.noisy(case.make(sizes).fresh(), place)
    params = ours(case.table(sizes), theirs.tensors(model), fresh(sizes))
    shape = (2, length * sizes.frames, rows * sizes.patch, columns * sizes.patch, 3)
    frames = np.random.default_rng(place).uniform(-1, 1, shape).astype(np.float32)
    truth = their_tokens(model, sizes, frames, torch.float64)
    with jax.default_matmul_precision("highest"):
        got = encoded(sizes, jnp.float32, params, frames)
    assert got.shape[2] == sizes.leading + rows * columns
    parity(name, "encoder", place, shape, got, truth, TOLERANCE)
    if place == 0:
        # In bfloat16 we are as near to the truth as they are.
        half = their_tokens(model.bfloat16(), sizes, frames, torch.bfloat16)
        ours_half = encoded(sizes, jnp.bfloat16, params, frames)
        assert np.abs(ours_half - truth).mean() <= 1.1 * np.abs(half - truth).mean()


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("outputs", "inputs"), [(16, 37), (5, 5), (40, 7), (3, 11), (1, 4)])
def test_resampling_is_theirs(outputs, inputs, antialias):
    identity = torch.eye(inputs).T[:, None, :, None].expand(-1, 1, -1, 4)
    want = torch.nn.functional.interpolate(
        identity, size=(outputs, 4), mode="bicubic", align_corners=False, antialias=antialias
    )
    got = resampling(outputs, inputs, antialias=antialias)
    np.testing.assert_allclose(got, want[:, 0, :, 0].T.numpy(), atol=2e-5)


PUBLISHED = {
    "SigLIP base": ("SigLIP", vit.SIGLIP_BASE, 85_797_120),
    "SigLIP So400m": ("SigLIP", vit.SIGLIP_SO400M, 412_442_352),
    "DINOv2 base": ("DINOv2", vit.DINOV2_BASE, 86_579_712),
    "DINOv2 large": ("DINOv2", vit.DINOV2_LARGE, 304_367_616),
    "DINOv2 large with registers": (
        "DINOv2 with registers",
        vit.DINOV2_LARGE_REGISTERS,
        304_371_712,
    ),
    "CLIP huge": ("CLIP", vit.CLIP_HUGE, 611_086_080),
    "V-JEPA2 large": ("V-JEPA2", vit.V_JEPA2_LARGE, 303_885_312),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_are_a_bijection_at_full_size(name):
    family, sizes, weights = PUBLISHED[name]
    case = CASES[family]
    target = fresh(sizes)
    checked(case.table(sizes), target, theirs.shapes(case.make(sizes).fresh))
    assert sum(leaf.size for leaf in jax.tree.leaves(target)) == weights


def test_wans_own_names():
    """The names of Wan's file, as its source tells them, fill the same leaves."""
    sizes = vit.CLIP_HUGE
    width, target = sizes.layers.width, fresh(sizes)
    table = tables.wan_clip(sizes)
    shapes = {
        "visual.patch_embedding.weight": (width, 3, 14, 14),
        "visual.cls_embedding": (1, 1, width),
        "visual.pos_embedding": (1, 257, width),
        "visual.pre_norm.weight": (width,),
        "visual.pre_norm.bias": (width,),
        "visual.post_norm.weight": (width,),
        "visual.post_norm.bias": (width,),
        "visual.head": (width, 1024),
        "log_scale": (),
        "textual.token_embedding.weight": (250002, 1024),
    }
    for layer in range(32):
        for name, rows, columns in (
            ("attn.to_qkv", 3 * width, width),
            ("attn.proj", width, width),
            ("mlp.0", 4 * width, width),
            ("mlp.2", width, 4 * width),
            ("norm1", width, None),
            ("norm2", width, None),
        ):
            stem = f"visual.transformer.{layer}.{name}"
            shapes[f"{stem}.weight"] = (rows,) if columns is None else (rows, columns)
            shapes[f"{stem}.bias"] = (rows,)
    named = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in shapes.items()}
    assert len(checked(table, target, named)) == len(expand(table))


def test_frames_that_fit_no_token_are_refused():
    frames = jnp.zeros((1, 3, 8, 8, 3))
    with pytest.raises(ValueError, match="2 frames of 4 x 4"):
        vit.VitEncoder(CASES["V-JEPA2"].sizes).init(jax.random.key(0), frames)
