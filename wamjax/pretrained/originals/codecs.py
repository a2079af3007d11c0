"""The video autoencoders, as diffusers has them."""

import functools
from typing import Any

import jax
import numpy as np

from wamjax.codec.ltx_vae import LTXVAE
from wamjax.codec.wan_sizes import WAN21, WAN22
from wamjax.codec.wan_vae import WanVAE
from wamjax.core.typing import Params
from wamjax.pretrained.codecs import LAYOUTS, Published
from wamjax.pretrained.originals.base import Module, Original, Values, as_torch

CELLS = (2, 3)
"""Rows and columns of the latents of the small input; it has 1 + 2 of them in time."""


def wan_module(codec: WanVAE) -> Module:
    """diffusers' AutoencoderKLWan."""
    options = {
        "base_dim": codec.base,
        "decoder_base_dim": codec.decoder_base,
        "z_dim": codec.channels,
        "num_res_blocks": codec.resnets,
        "latents_mean": list(codec.mean),
        "latents_std": list(codec.std),
        "is_residual": codec.residual,
        "in_channels": 3 * codec.patch**2,
        "out_channels": 3 * codec.patch**2,
        "patch_size": codec.patch if codec.patch > 1 else None,
        "scale_factor_spatial": codec.strides[1],
    }
    return Module("diffusers", "AutoencoderKLWan", options)


def ltx_module(codec: LTXVAE) -> Module:
    """diffusers' AutoencoderKLLTXVideo."""
    options = {
        "latent_channels": codec.channels,
        "block_out_channels": codec.widths,
        "decoder_block_out_channels": codec.widths,
        "layers_per_block": codec.resnets,
        "decoder_layers_per_block": codec.resnets,
        "spatio_temporal_scaling": codec.scaled,
        "decoder_spatio_temporal_scaling": codec.scaled,
        "patch_size": codec.patch,
    }
    return Module("diffusers", "AutoencoderKLLTXVideo", options)


MODULES = {WanVAE: wan_module, LTXVAE: ltx_module}


def codec_original(codec: Published) -> Original:
    """An autoencoder in float32: standardised latents of frames, and frames of latents, cut to
    [-1, 1] as diffusers' Wan does."""

    def given(rng: np.random.Generator) -> Values:
        time, side = codec.strides
        rows, columns = CELLS
        frames = rng.uniform(-1, 1, (1, 1 + 2 * time, rows * side, columns * side, 3))
        latents = rng.normal(size=(1, 3, rows, columns, codec.channels))
        return {"frames": frames.astype(np.float32), "latents": latents.astype(np.float32)}

    def theirs(module: Any, given: Values) -> Values:
        mean, std = (np.asarray(x, np.float32) for x in _statistics(codec, module))
        mode = module.encode(_first(given["frames"])).latent_dist.mode()
        frames = module.decode(_first(given["latents"] * std + mean)).sample
        return {
            "encode": (_last(mode) - mean) / std,
            "decode": np.clip(_last(frames), -1, 1),
        }

    def ours(weights: Params, given: Values) -> Values:
        def run(method: str, x: np.ndarray) -> np.ndarray:
            program = jax.jit(functools.partial(codec.apply, method=method))
            return np.asarray(program({"params": weights}, x))

        frames = np.clip(run("decode", given["latents"]), -1, 1)
        return {"encode": run("encode", given["frames"]), "decode": frames}

    return Original(
        module=MODULES[type(codec)](codec),  # pyright: ignore[reportArgumentType]
        table=functools.partial(LAYOUTS[type(codec)]["diffusers"], codec),
        given=given,
        theirs=theirs,
        ours=ours,
    )


def _statistics(codec: Published, module: Any) -> tuple[Any, Any]:
    """Mean and deviation of each channel; LTX's are weights."""
    if isinstance(codec, WanVAE):
        return codec.mean, codec.std
    return module.latents_mean.numpy(), module.latents_std.numpy()


def _first(x: np.ndarray) -> Any:
    return as_torch(np.moveaxis(x, -1, 1))


def _last(x: Any) -> np.ndarray:
    return np.moveaxis(x.numpy(), 1, -1)


ORIGINALS = {
    "wan2.1-vae": codec_original(WAN21),
    "wan2.2-vae": codec_original(WAN22),
    "ltx-vae-0.9": codec_original(LTXVAE()),
}
