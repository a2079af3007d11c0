"""The transformer blocks that published systems start from, as experts and stacks.

wan      Wan-Video 2.1 and 2.2 (arXiv 2503.20314; diffusers transformer_wan): layer norm, a table of
         six vectors per layer on one shared projection, RMS norm of queries and keys over all
         heads, text by cross-attention, rotary pairs side by side, sigma times 1000 as the time.
cosmos   Cosmos-Predict2 (arXiv 2501.03575, 2503.15558): low-rank modulation of rank 256 of all
         three parts, exact GELU, RMS norm per head, no biases, rotary axes stretched 1, 3, 3, sigma
         itself as the time, at as many frequencies as a token is wide.
ltx      LTX-Video (arXiv 2501.00103): RMS norms, one shared modulation plus a table per layer,
         rotary positions on a canvas, over all heads.
gemma    Gemma (arXiv 2403.08295): RMS norm with weights counted from one, gated GELU, one key
         head, no biases.
gemma_flow   the same with adaptive RMS norm and gates (pi0.5, arXiv 2504.16054).
llama    Llama 2 (arXiv 2307.09288) and Qwen 3: RMS norm, gated SiLU, no biases.
vit      vision and text encoders of the ViT kind: layer norm with weights, GELU, biases.
"""

from wamjax.model.config import Clock, Cross, Expert, Rotary

WAN_CLOCK = Clock(features=256, scale=1000.0, fastest=1.0, slowest=1e-4, closed=False)
"""1000 sigma at frequencies 10000 ** (-i / 128)."""
WAN_ROTARY = Rotary(base=10_000.0, adjacent=True)
COSMOS_ROTARY = Rotary(base=10_000.0, stretch=(1.0, 3.0, 3.0))
LTX_ROTARY = Rotary(base=10_000.0, adjacent=True, canvas=(62.5, 64.0, 64.0))
"""Positions are latents: 8 frames of 25 a second, 32 x 32 pixels; a canvas of 20 s, 2048 x 2048."""
LINE_ROTARY = Rotary(base=10_000.0)
PI_CLOCK = Clock(
    features=1024,
    fastest=2 * 3.141592653589793 / 4e-3,
    slowest=2 * 3.141592653589793 / 4.0,
    sines_first=True,
)
"""Periods from 4e-3 to 4."""


def wan(
    name: str, width: int, mlp: int, *, memory: str | None = "text", beside: str = ""
) -> Expert:
    """An expert with Wan's block; `memory` None leaves cross-attention out, `beside` is the memory
    of Wan 2.1's image branch."""
    return Expert(
        name=name,
        width=width,
        mlp=mlp,
        modulation="table",
        qk_norm="full",
        cross=None if memory is None else Cross(memory=memory, beside=beside),
        clock=WAN_CLOCK,
    )


def cosmos(name: str, width: int, mlp: int, *, memory: str = "text", rank: int = 256) -> Expert:
    """An expert with Cosmos-Predict2's block."""
    return Expert(
        name=name,
        width=width,
        mlp=mlp,
        activation="exact_gelu",
        modulation="low_rank",
        rank=rank,
        qk_norm="head",
        bias=False,
        cross=Cross(memory=memory),
        clock=Clock(features=width, fastest=1.0, slowest=1e-4, closed=False),
    )


def ltx(name: str, width: int, mlp: int, *, cross: Cross | None) -> Expert:
    """An expert with LTX-Video's block."""
    return Expert(
        name=name,
        width=width,
        mlp=mlp,
        norm="rms",
        modulation="table",
        qk_norm="full",
        qk_eps=1e-5,
        cross=cross,
        clock=WAN_CLOCK,
    )


def gemma(name: str, width: int, mlp: int, *, norm_out: bool = False) -> Expert:
    """An expert with Gemma's block; with `norm_out` its last norm, too."""
    return Expert(
        name=name,
        width=width,
        mlp=mlp,
        activation="geglu",
        norm="rms",
        from_one=True,
        norm_out=norm_out,
        modulation="none",
        bias=False,
        clock=PI_CLOCK,
    )


def gemma_flow(name: str, width: int, mlp: int) -> Expert:
    """Gemma's block with scale, shift and gate from the noise level."""
    return Expert(
        name=name,
        width=width,
        mlp=mlp,
        activation="geglu",
        norm="rms",
        modulation="adaln",
        bias=False,
        clock=PI_CLOCK,
    )


def llama(name: str, width: int, mlp: int, *, qk_norm: bool = False) -> Expert:
    """An expert with Llama's block; with `qk_norm` Qwen 3's."""
    return Expert(
        name=name,
        width=width,
        mlp=mlp,
        activation="swiglu",
        norm="rms",
        modulation="none",
        qk_norm="head" if qk_norm else "none",
        bias=False,
    )


def vit(name: str, width: int, mlp: int, *, norm_out: bool = False) -> Expert:
    """An expert with a vision transformer's block; with `norm_out` its last norm, too."""
    return Expert(name=name, width=width, mlp=mlp, modulation="none", norm_out=norm_out)
