"""The LTX-Video autoencoder: equal to diffusers', and chunk by chunk."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.codec.wan_reference import exact_products, first, last, torch
from wamjax.codec.ltx_vae import LTXVAE
from wamjax.core.runtime import once_jit
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.codecs import target
from wamjax.pretrained.ltx_vae import table
from wamjax.pretrained.moves import ours
from wamjax.pretrained.originals.base import far
from wamjax.pretrained.originals.codecs import ltx_module

FAMILY = "LTX-Video 0.9 VAE"
SMALL = LTXVAE(channels=6, widths=(4, 8, 8, 8), resnets=(1, 1, 1, 1, 1))
TOLERANCE = 1e-4

__all__ = ["exact_products"]


@functools.cache
def pair(seed):
    """Their model in float64 with noise on every weight, and our weights."""
    torch.manual_seed(seed)
    theirs = ltx_module(SMALL).fresh().eval().double()
    with torch.no_grad():
        for value in (*theirs.parameters(), *theirs.buffers()):
            value.add_(0.05 * torch.randn_like(value))
            value.copy_(value.float())
    state = {k: v.float().numpy() for k, v in theirs.state_dict().items()}
    return theirs, ours(table(SMALL), state, target(SMALL))


@functools.cache
def program(method, chunk=1):
    codec = dataclasses.replace(SMALL, chunk=chunk)
    return once_jit(functools.partial(codec.apply, method=method))


def inputs(seed, frames):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (1, frames, 64, 32, 3)).astype(np.float32)
    latent = 1 + (frames - 1) // 8
    return x, rng.normal(size=(1, latent, 2, 1, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("seed", "frames"),
    [
        (0, 1),
        (1, 17),
        *[pytest.param(s, t, marks=pytest.mark.slow) for s in (2, 3) for t in (9, 25)],
    ],
)
def test_a_small_one_is_diffusers(seed, frames, parity):
    theirs, weights = pair(seed)
    x, z = inputs(seed, frames)
    mean, std = theirs.latents_mean.numpy(), theirs.latents_std.numpy()
    with torch.no_grad():
        encoded = (last(theirs.encode(first(x)).latent_dist.mode()) - mean) / std
        decoded = last(theirs.decode(first(z * std + mean)).sample)
    here = program("encode")({"params": weights}, x)
    parity(FAMILY, "encode", seed, x.shape, here, encoded, TOLERANCE)
    here = program("decode")({"params": weights}, z)
    parity(FAMILY, "decode", seed, z.shape, here, decoded, TOLERANCE)


def test_chunks_and_steps_are_the_whole():
    _, weights = pair(1)
    x, _ = inputs(4, 25)
    whole = program("encode", 99)({"params": weights}, x)
    assert far(program("encode", 2)({"params": weights}, x), whole) < 1e-5
    step, parts, cache = program("encode_step"), [], None
    for begin, end in ((0, 1), (1, 17), (17, 25)):
        made, cache = step({"params": weights}, x[:, begin:end], cache)
        parts.append(made)
    assert far(jnp.concatenate(parts, axis=1), whole) < 1e-5


def test_diffusers_names_at_full_size():
    codec = LTXVAE()
    with torch.device("meta"):
        state = ltx_module(codec).fresh().state_dict()
    shapes = {k: jax.ShapeDtypeStruct(tuple(v.shape), np.float32) for k, v in state.items()}
    assert len(checked(table(codec), target(codec), shapes)) == len(state)
    assert codec.latent_shape(17, 480, 704) == (3, 15, 22, 128)
