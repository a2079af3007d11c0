"""Vision transformers, as transformers has them."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from wamjax.codec import vit as vit_codec
from wamjax.pretrained import vit
from wamjax.pretrained.originals.base import Module, Original, Values, as_torch
from wamjax.pretrained.originals.inputs import drawn_frames, of_transformers, pixels_of, run


def _shared(sizes: vit_codec.VitSizes, depth: int) -> dict[str, Any]:
    return {
        "hidden_size": sizes.layers.width,
        "num_hidden_layers": depth,
        "num_attention_heads": sizes.layers.heads,
        "image_size": sizes.patch * sizes.grid,
        "patch_size": sizes.patch,
        "layer_norm_eps": sizes.layers.eps,
    }


def siglip_module(sizes: vit_codec.VitSizes) -> Module:
    """SigLIP's tower."""
    return of_transformers(
        "SiglipVisionModel",
        "SiglipVisionConfig",
        **_shared(sizes, sizes.layers.depth),
        hidden_act="gelu_pytorch_tanh",
        intermediate_size=sizes.layers.mlp,
    )


def dinov2_module(sizes: vit_codec.VitSizes) -> Module:
    """DINOv2's, with registers where the sizes have them."""
    options = {**_shared(sizes, sizes.layers.depth), "mlp_ratio": 4, "hidden_act": "gelu"}
    if not sizes.registers:
        return of_transformers("Dinov2Model", "Dinov2Config", **options)
    return of_transformers(
        "Dinov2WithRegistersModel",
        "Dinov2WithRegistersConfig",
        **options,
        num_register_tokens=sizes.registers,
    )


def clip_module(sizes: vit_codec.VitSizes) -> Module:
    """CLIP's tower, with the last layer, which nothing here reads."""
    return of_transformers(
        "CLIPVisionModel",
        "CLIPVisionConfig",
        **_shared(sizes, sizes.layers.depth + 1),
        hidden_act="gelu",
        intermediate_size=sizes.layers.mlp,
    )


def v_jepa2_module(sizes: vit_codec.VitSizes) -> Module:
    """V-JEPA 2's, with a predictor that nothing here reads."""
    return of_transformers(
        "VJEPA2Model",
        "VJEPA2Config",
        **_shared(sizes, sizes.layers.depth),
        crop_size=256 if sizes.patch == 16 else 4 * sizes.patch,
        frames_per_clip=64,
        tubelet_size=sizes.frames,
        hidden_act="gelu",
        mlp_ratio=4,
        pred_hidden_size=48,
        pred_num_hidden_layers=1,
        pred_num_attention_heads=2,
    )


def vit_tokens(module: Any, sizes: vit_codec.VitSizes, pixels: Any) -> np.ndarray:
    """What a published encoder says of pixels [B, T, 3, H, W], [B, T / frames, N, D], float64."""
    match type(module).__name__:
        case "VJEPA2Model":
            made = module(pixels, skip_predictor=True).last_hidden_state
        case "CLIPVisionModel":
            made = module(pixels.flatten(0, 1), output_hidden_states=True).hidden_states[-2]
        case _:
            made = module(pixels.flatten(0, 1)).last_hidden_state
    batch, length = pixels.shape[:2]
    shape = (batch, length // sizes.frames, -1, sizes.layers.width)
    return made.double().numpy().reshape(shape)


def vit_original(
    sizes: vit_codec.VitSizes,
    module: Callable[[vit_codec.VitSizes], Module],
    table: Callable[[vit_codec.VitSizes], Any],
) -> Original:
    """A vision transformer's, in float32, on pictures of the size that its places are for."""
    side = sizes.patch * (sizes.grid or 4)

    def theirs(module: Any, given: Values) -> Values:
        pixels = as_torch(pixels_of(given["frames"], sizes.pixels)).float()
        return {"pictures": vit_tokens(module, sizes, pixels)}

    return Original(
        module=module(sizes),
        table=functools.partial(table, sizes),
        given=lambda rng: {"frames": drawn_frames(rng, 2 * sizes.frames, side, side)},
        theirs=theirs,
        ours=lambda weights, given: {
            "pictures": run(vit_codec.VitEncoder(sizes), weights, given["frames"])
        },
    )


ORIGINALS = {
    name: vit_original(*case)
    for name, case in {
        "siglip-base": (vit_codec.SIGLIP_BASE, siglip_module, vit.transformers_siglip),
        "siglip-so400m": (vit_codec.SIGLIP_SO400M, siglip_module, vit.transformers_siglip),
        "dinov2-base": (vit_codec.DINOV2_BASE, dinov2_module, vit.transformers_dinov2),
        "dinov2-large": (vit_codec.DINOV2_LARGE, dinov2_module, vit.transformers_dinov2),
        "dinov2-large-registers": (
            vit_codec.DINOV2_LARGE_REGISTERS,
            dinov2_module,
            vit.transformers_dinov2,
        ),
        "clip-vit-h": (vit_codec.CLIP_HUGE, clip_module, vit.transformers_clip),
        "v-jepa2-large": (vit_codec.V_JEPA2_LARGE, v_jepa2_module, vit.transformers_v_jepa2),
    }.items()
}
