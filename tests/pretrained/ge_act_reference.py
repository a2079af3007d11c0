"""GE-Act's two networks from diffusers' LTX-Video blocks, in the arrangement of its source.

AgibotTech/Genie-Envisioner (7e007c7), models/ltx_models/transformer_ltx_multiview.py and
models/action_patches/patches.py. The video is diffusers' whole transformer; names are turned into
GE-Act's own.
"""

import math
from typing import Any

import torch
from diffusers import LTXVideoTransformer3DModel
from diffusers.models.normalization import AdaLayerNormSingle
from diffusers.models.transformers.transformer_ltx import LTXVideoTransformerBlock
from einops import rearrange, repeat

from wamjax.pretrained.ge_act import Sizes

FPS, STRIDE, PIXELS = 30, 8, 32
EVERY = 3
"""Cameras see one another in one layer out of so many, the first of them."""


class Actions(torch.nn.Module):
    """The action expert."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        width = sizes.width
        self.proj_in = torch.nn.Linear(sizes.action, width)
        self.time_embed = AdaLayerNormSingle(width, use_additional_conditions=False)
        self.scale_shift_table = torch.nn.Parameter(torch.randn(2, width) / width**0.5)
        self.blocks = torch.nn.ModuleList(
            LTXVideoTransformerBlock(width, sizes.heads, sizes.head_dim, sizes.video.width)
            for _ in range(sizes.video.depth)
        )
        self.proj_out = torch.nn.Linear(width, sizes.action)


def told(model: Any, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Six vectors for layers, side by side, and the level itself: [B, N, ...] of sigma [B, N]."""
    six, level = model.time_embed(
        (1000 * sigma).flatten(), batch_size=len(sigma), hidden_dtype=sigma.dtype
    )
    return six.unflatten(0, sigma.shape), level.unflatten(0, sigma.shape)


def left(model: Any, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """How tokens leave: a layer norm, moved by the level and a table, and a linear map."""
    shift, scale = (model.scale_shift_table + level[:, :, None]).unbind(2)
    return model.proj_out(
        torch.nn.functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
    )


def on_a_line(count: int, width: int, longest: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines [1, count, width] of places 0, 1, ... on a line, each twice.

    In float32, as it was trained: at 15,000 radians rounding shows.
    """
    turns = 10_000.0 ** torch.linspace(0, 1, width // 2) * math.pi / 2
    angle = turns * (2 * (torch.arange(count)[:, None] / longest) - 1)
    twice = angle.repeat_interleave(2, dim=-1)[None]
    return twice.cos(), twice.sin()


class Reference(torch.nn.Module):
    """Both, and what tells cameras apart."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        v = sizes.video
        self.sizes = sizes
        self.video = LTXVideoTransformer3DModel(
            in_channels=v.channels,
            out_channels=v.channels,
            num_attention_heads=v.heads,
            attention_head_dim=v.head_dim,
            cross_attention_dim=v.width,
            num_layers=v.depth,
            caption_channels=v.text,
        )
        self.view_embed = torch.nn.Parameter(torch.randn(sizes.views, v.width))
        self.view_ada = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Linear(v.width, 6 * v.width))
        self.action = Actions(sizes)

    def forward(self, latents, text, heard, state, action, video_sigma, action_sigma):
        """Predictions for every video token [B, V, N, c] and every action.

        Args:
            latents: [B, V, L, h, w, c].
            text, heard: [B, X, text], bool [B, X].
            state, action: [B, A], [B, K, A].
            video_sigma, action_sigma: [B, V, N] of the N tokens of a camera, [B].
        """
        video, views = self.video, latents.shape[1]
        grid = latents.shape[2:5]
        x = video.proj_in(latents.flatten(2, 4).flatten(0, 1))
        six, level = told(video, video_sigma.flatten(0, 1))
        own = self.view_embed[:views].repeat(len(latents), 1)[:, None]
        six, level = six + self.view_ada(own), level + own
        words = video.caption_projection(text)
        hidden = -10_000.0 * (~heard).to(x.dtype)[:, None]
        turns = video.rope(x[:1], *grid, (STRIDE / FPS, PIXELS, PIXELS))

        acting = self.action
        told_once = torch.cat([state[:, None], action], dim=1)
        y = acting.proj_in(told_once)
        clock = action_sigma[:, None].expand(-1, y.shape[1]).clone()
        clock[:, 0] = 0
        action_six, action_level = told(acting, clock)
        line = on_a_line(y.shape[1], self.sizes.width, self.sizes.longest)

        for place in range(self.sizes.video.depth):
            if place % EVERY:
                each = (repeat(part, "b ... -> (b v) ...", v=views) for part in (words, hidden))
                x = video.transformer_blocks[place](x, next(each), six, turns, next(each))
            else:
                side, moved = (
                    rearrange(part, "(b v) n c -> b (v n) c", v=views) for part in (x, six)
                )
                angles = tuple(part.repeat(1, views, 1) for part in turns)
                side = video.transformer_blocks[place](side, words, moved, angles, hidden)
                x = rearrange(side, "b (v n) c -> (b v) n c", v=views)
            seen = rearrange(x, "(b v) n c -> b (v n) c", v=views)
            y = acting.blocks[place](y, seen, action_six, line)
        frames = left(video, x, level).unflatten(0, (-1, views))
        return frames, left(acting, y, action_level)[:, 1:]


def published(name: str) -> str:
    """GE-Act's name of a tensor of `Reference`."""
    part, _, rest = name.partition(".")
    return {"video": rest, "action": f"action_{rest}"}.get(part, name)
