"""The Wan autoencoders: equal to diffusers', chunk by chunk, tile by tile and over devices."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from tests.codec.wan_reference import SMALL, Pair, exact_products, noise, pair, torch, video
from wamjax.codec.tiling import Tiled
from wamjax.codec.wan_sizes import WAN21, WAN22
from wamjax.core.runtime import once_jit
from wamjax.pretrained.codecs import target
from wamjax.pretrained.originals.base import far

FAMILIES = tuple(SMALL)
TOLERANCE = 1e-4

__all__ = ["exact_products"]


def both(family, seed, frames, height, width, resnets=1):
    """(pair, frames, latents): a small model and inputs of it."""
    made = pair(family, seed, resnets)
    latent = 1 + (frames - 1) // 4
    return (
        made,
        video(made.codec, seed, frames, height, width),
        noise(made.codec, seed, latent, height, width),
    )


@pytest.mark.parametrize("frames", [1, 9])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_one_is_diffusers(family, frames, parity):
    made, x, z = both(family, frames, frames, 2, 3)
    here = made.ours("encode", x)
    parity(family, "encode, streamed", frames, x.shape, here, made.encoded(x), TOLERANCE)
    here = made.ours("decode", z)
    parity(family, "decode, streamed", frames, z.shape, here, made.decoded(z), TOLERANCE)


CASES = (
    (0, 5, (5, 4), "streamed", 1),
    (1, 9, (3, 2), "streamed", 1),
    (2, 17, (2, 5), "streamed", 1),
    (2, 17, (2, 5), "whole", 99),
)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "frames", "size", "part", "chunk"), CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_one_of_the_published_depth_is_diffusers(family, seed, frames, size, part, chunk, parity):
    made, x, z = both(family, seed, frames, *size, resnets=2)
    here = made.ours("encode", x, chunk=chunk)
    parity(family, f"encode, {part}", seed, x.shape, here, made.encoded(x), TOLERANCE)
    here = made.ours("decode", z, chunk=chunk)
    parity(family, f"decode, {part}", seed, z.shape, here, made.decoded(z), TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_is_at_most_twice_as_far_off_as_that_of_diffusers(family, parity):
    made, x, z = both(family, 1, 9, 3, 2, resnets=2)
    for part, given, theirs in (("encode", x, Pair.encoded), ("decode", z, Pair.decoded)):
        truth = theirs(made, given)
        off = far(theirs(made.half, given), truth)
        here = made.ours(part, given, dtype="bfloat16")
        parity(family, f"{part}, bfloat16", 1, given.shape, here, truth, 2 * off)
        assert off > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_chunks_of_any_size_and_steps_are_the_whole(family):
    made, x, z = both(family, 3, 13, 2, 2)
    for method, step, given, per in (
        ("encode", "encode_step", x, 4),
        ("decode", "decode_step", z, 1),
    ):
        whole = made.ours(method, given, chunk=99)
        assert far(made.ours(method, given, chunk=2), whole) < 1e-5
        # A stream: the first frame, then two groups, then one.
        parts, cache, at = [], None, 0
        for count in (1, 2 * per, per):
            made_now, cache = made.ours(step, given[:, at : at + count], cache)
            parts.append(made_now)
            at += count
        assert at == given.shape[1]
        assert far(jnp.concatenate(parts, axis=1), whole) < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_later_frames_leave_earlier_latents_and_pictures_alone(family):
    made, x, z = both(family, 3, 13, 2, 2)
    changed, other = x.copy(), z.copy()
    changed[:, 9:] += 0.5
    other[:, 3:] += 0.5
    for method, given, modified, same in (("encode", x, changed, 3), ("decode", z, other, 9)):
        before, after = (made.ours(method, x, chunk=2) for x in (given, modified))
        np.testing.assert_array_equal(before[:, :same], after[:, :same])
        assert not np.array_equal(before[:, same], after[:, same])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_program_does_not_grow_with_the_video(family):
    codec = SMALL[family]
    side = codec.strides[1]

    def lines(frames):
        x = jax.ShapeDtypeStruct((1, frames, side, side, 3), jnp.float32)
        weights = {"params": target(codec)}
        program = jax.make_jaxpr(functools.partial(codec.apply, method="encode"))(weights, x)
        return len(str(program).splitlines())

    assert lines(13) == lines(41)


@pytest.mark.parametrize("family", FAMILIES)
def test_devices_share_the_batch_and_the_rows(family):
    made = pair(family, 4, 1)
    x = video(made.codec, 4, 5, 4, 2, batch=2)
    whole = made.ours("encode", x)
    mesh = jax.make_mesh((2, 4), ("data", "rows"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    spread = NamedSharding(mesh, P("data", None, "rows"))
    encode = once_jit(
        functools.partial(made.codec.apply, method="encode"),
        in_shardings=(NamedSharding(mesh, P()), spread),
        out_shardings=spread,
    )
    shared = encode({"params": made.weights}, x)
    assert len(shared.addressable_shards) == 8
    assert shared.addressable_shards[0].data.shape[:3] == (1, 2, 1)
    assert far(shared, whole) < 1e-5


def test_tiles_are_those_of_diffusers_where_it_blends_two():
    """It cuts smaller tiles at the border, and blends four of them otherwise: a row of two."""
    made, x, z = both("Wan 2.1 VAE", 5, 5, 2, 8)
    made.theirs.enable_tiling(32, 32, 16, 16)
    try:
        encoded, decoded = made.encoded(x), made.decoded(z)
    finally:
        made.theirs.disable_tiling()
    tiled = Tiled(made.codec, tile=4, overlap=2)
    apply = once_jit(tiled.apply, static_argnames="method")
    here = apply({"params": made.weights}, x, method="encode")
    # Cells 0 to 3 are of the tiles that begin at 0 and 2.
    assert far(here[..., :4, :], encoded[..., :4, :]) < 1e-5
    here = apply({"params": made.weights}, z, method="decode")
    assert far(here[..., :32, :], decoded[..., :32, :]) < 1e-5


def test_one_tile_that_holds_all_changes_nothing():
    made, x, _ = both("Wan 2.2 VAE", 3, 5, 2, 2)
    tiled = Tiled(made.codec, tile=9, overlap=3)
    boxed = jax.eval_shape(tiled.init, jax.random.key(0), x)
    assert jax.tree.structure(boxed["params"]) == jax.tree.structure(
        jax.eval_shape(made.codec.init, jax.random.key(0), x)["params"]
    )
    encode = once_jit(functools.partial(tiled.apply, method="encode"))
    assert far(encode({"params": made.weights}, x), made.ours("encode", x)) < 1e-6


@pytest.mark.parametrize(("codec", "shape"), [(WAN21, (5, 90, 160, 16)), (WAN22, (5, 45, 80, 48))])
def test_shapes_at_full_size(codec, shape):
    assert codec.latent_shape(17, 720, 1280) == shape
    for size in ((16, 720, 1280), (17, 720, 1284)):
        with pytest.raises(ValueError, match="stride"):
            codec.latent_shape(*size)


def test_the_statistics_are_the_published_ones():
    published = dict(torch_config())
    assert published["latents_mean"] == list(WAN21.mean)
    assert published["latents_std"] == list(WAN21.std)
    assert len(WAN22.mean) == len(WAN22.std) == WAN22.channels
    made, x, _ = both("Wan 2.1 VAE", 3, 1, 2, 2)
    plain = dataclasses.replace(made.codec, mean=(0.0,) * 4, std=(1.0,) * 4)
    raw = once_jit(functools.partial(plain.apply, method="encode"))({"params": made.weights}, x)
    mean, std = np.array(made.codec.mean), np.array(made.codec.std)
    np.testing.assert_allclose(made.ours("encode", x) * std + mean, raw, atol=1e-5)


def torch_config():
    import diffusers

    with torch.device("meta"):
        return diffusers.AutoencoderKLWan().config
