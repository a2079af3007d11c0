"""diffusers' Wan autoencoders as the truth: float64, random weights, noise on every parameter."""

import copy
import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

from wamjax.codec.wan_sizes import WAN21, WAN22
from wamjax.codec.wan_vae import WanVAE
from wamjax.core.runtime import once_jit
from wamjax.core.typing import Params
from wamjax.pretrained.codecs import target
from wamjax.pretrained.moves import ours
from wamjax.pretrained.originals.codecs import wan_module
from wamjax.pretrained.wan_vae import table

torch = pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
diffusers = pytest.importorskip("diffusers", reason="the extra `reference` brings it")
# Its threads spin while they wait, which on shared cores takes longer than the work.
torch.set_num_threads(1)

SMALL = {
    "Wan 2.1 VAE": dataclasses.replace(
        WAN21, base=4, decoder_base=4, channels=4, mean=WAN21.mean[:4], std=WAN21.std[:4]
    ),
    "Wan 2.2 VAE": dataclasses.replace(
        WAN22, base=4, decoder_base=8, channels=6, mean=WAN22.mean[:6], std=WAN22.std[:6]
    ),
}


@pytest.fixture(autouse=True, scope="module")
def exact_products() -> Iterator[None]:
    """Products in float32: for modules that import this."""
    with jax.default_matmul_precision("highest"):
        yield


def reference(codec: WanVAE) -> Any:
    """diffusers' model of that size, on the current default device."""
    return wan_module(codec).fresh()


@dataclasses.dataclass(frozen=True)
class Pair:
    """Both implementations with the same weights."""

    codec: WanVAE
    theirs: Any
    weights: Params

    @functools.cached_property
    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.codec.mean), np.array(self.codec.std)

    @functools.cached_property
    def half(self) -> "Pair":
        """The same, with theirs in bfloat16."""
        return dataclasses.replace(self, theirs=copy.deepcopy(self.theirs).bfloat16())

    def encoded(self, frames: np.ndarray) -> np.ndarray:
        """Their standardised mode, [B, L, h, w, c]."""
        with torch.no_grad():
            x = first(frames).to(self.theirs.dtype)
            mode = self.theirs.encode(x).latent_dist.mode()
        mean, std = self.statistics
        return (last(mode) - mean) / std

    def decoded(self, latents: np.ndarray) -> np.ndarray:
        """Their frames, [B, T, H, W, 3]."""
        mean, std = self.statistics
        with torch.no_grad():
            z = first(latents * std + mean).to(self.theirs.dtype)
            frames = self.theirs.decode(z).sample
        assert frames.abs().max() < 1, "clipped: nothing may hide there"
        return last(frames)

    def ours(self, method: str, x: Any, *more: Any, **changes: Any) -> Any:
        codec = dataclasses.replace(self.codec, **changes)
        return _program(codec, method)({"params": self.weights}, x, *more)


@functools.cache
def _program(codec: WanVAE, method: str) -> Any:
    return once_jit(functools.partial(codec.apply, method=method))


def first(x: np.ndarray) -> Any:
    """Channels first."""
    return torch.from_numpy(np.moveaxis(np.asarray(x, np.float64), -1, 1).copy())


def last(x: Any) -> np.ndarray:
    return np.moveaxis(x.double().numpy(), 1, -1)


@functools.cache
def pair(family: str, seed: int, resnets: int) -> Pair:
    """A small model of a family."""
    codec = dataclasses.replace(SMALL[family], resnets=resnets)
    torch.manual_seed(seed)
    theirs = reference(codec).eval().double()
    with torch.no_grad():
        for value in theirs.parameters():
            value.add_(0.05 * torch.randn_like(value))
            value.copy_(value.float())
        # So small that nothing reaches the ends of [-1, 1], where their decoder clips.
        theirs.decoder.conv_out.weight.mul_(2.0**-6)
        theirs.decoder.conv_out.bias.mul_(2.0**-3)
    state = {k: v.float().numpy() for k, v in theirs.state_dict().items()}
    return Pair(codec, theirs, ours(table(codec, "diffusers"), state, target(codec)))


def video(
    codec: WanVAE, seed: int, frames: int, height: int, width: int, batch: int = 1
) -> np.ndarray:
    """Random frames, in cells of the latent grid."""
    rng = np.random.default_rng(seed)
    side = codec.strides[1]
    shape = (batch, frames, height * side, width * side, 3)
    return rng.uniform(-1, 1, shape).astype(np.float32)


def noise(codec: WanVAE, seed: int, latent: int, height: int, width: int) -> np.ndarray:
    """Random latents."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(1, latent, height, width, codec.channels)).astype(np.float32)
