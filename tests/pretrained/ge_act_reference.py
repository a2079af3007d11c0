"""GE-Act from diffusers' LTX blocks, in the arrangement of its source.

AgibotTech/Genie-Envisioner, models/ltx_models/transformer_ltx_multiview.py and
models/action_patches/patches.py. Names are GE-Act's own.
"""

import numpy as np
import torch
from diffusers.models.embeddings import PixArtAlphaTextProjection
from diffusers.models.normalization import AdaLayerNormSingle
from diffusers.models.transformers.transformer_ltx import LTXVideoTransformerBlock
from torch import nn
from torch.nn import functional

from wamjax.pretrained.ge_act import CANVAS, Sizes

BASE = 10_000.0


def turns(position: torch.Tensor, sizes: tuple[float, ...], width: int) -> torch.Tensor:
    """Angles [N, width / 2] of positions [N, k] on a canvas; in float32, as they are trained, and
    rounded as NumPy does (PyTorch takes a neighbour of one frequency in ten)."""
    count = width // (2 * len(sizes))
    rising = BASE ** np.linspace(0, 1, count, dtype=np.float32).astype(np.float64)
    frequency = torch.tensor(rising).float() * torch.pi / 2
    part = position.float() / torch.tensor(sizes) * 2 - 1
    angle = (part[:, None] * frequency[:, None]).flatten(1)
    return functional.pad(angle, (width // 2 - angle.shape[1], 0)).double()


def turned(x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Neighbours of all heads' width turned; x [..., N, width]."""
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1).flatten(-2)


def rms(x: torch.Tensor) -> torch.Tensor:
    return functional.rms_norm(x, x.shape[-1:], eps=1e-6)


def asked(attention, x, memory, angle=None):
    """Query, key and value [..., N, width]."""
    query, key = attention.norm_q(attention.to_q(x)), attention.norm_k(attention.to_k(memory))
    if angle is not None:
        query, key = turned(query, angle), turned(key, angle)
    return query, key, attention.to_v(memory)


def heard(attention, query, key, value):
    """[B, N, width] each."""
    heads = (x.unflatten(-1, (attention.heads, -1)).transpose(-2, -3) for x in (query, key, value))
    out = functional.scaled_dot_product_attention(*heads).transpose(-2, -3).flatten(-2)
    return attention.to_out[0](out)


class Reference(nn.Module):
    """Video by camera, and the action expert."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        v = sizes.video
        self.sizes = sizes
        self.proj_in = nn.Linear(v.channels, v.width)
        self.scale_shift_table = nn.Parameter(torch.randn(2, v.width))
        self.time_embed = AdaLayerNormSingle(v.width, use_additional_conditions=False)
        self.view_embed = nn.Parameter(torch.randn(sizes.views, v.width))
        self.view_ada = nn.Sequential(nn.SiLU(), nn.Linear(v.width, 6 * v.width))
        self.caption_projection = PixArtAlphaTextProjection(v.text, v.width)
        self.transformer_blocks = nn.ModuleList(
            LTXVideoTransformerBlock(v.width, v.heads, v.head_dim, v.width) for _ in range(v.depth)
        )
        self.proj_out = nn.Linear(v.width, v.channels)
        width = sizes.width
        self.action_proj_in = nn.Linear(sizes.action, width)
        self.action_scale_shift_table = nn.Parameter(torch.randn(2, width))
        self.action_time_embed = AdaLayerNormSingle(width, use_additional_conditions=False)
        self.action_blocks = nn.ModuleList(
            LTXVideoTransformerBlock(width, sizes.heads, sizes.head_dim, v.width)
            for _ in range(v.depth)
        )
        self.action_proj_out = nn.Linear(width, sizes.action)

    def forward(self, latents, text, state, action, video_times, action_sigma):
        """Predictions for every token of the video, and every action.

        Args:
            latents: [B, V, L, H, W, c], by camera.
            text: [B, X, text].
            state, action: [B, 1, A], [B, K, A].
            video_times: [B, V, L H W], noise levels in [0, 1] of each token.
            action_sigma: [B].
        """
        v = self.sizes.video
        batch, views, *grid, _ = latents.shape
        places = torch.stack(torch.meshgrid(*map(torch.arange, grid), indexing="ij"), -1)
        turn = turns(places.reshape(-1, 3), CANVAS, v.width)
        x = self.proj_in(latents.flatten(2, 4))
        words = self.caption_projection(text)
        six, level = self.time_embed(1000 * video_times.flatten(), hidden_dtype=x.dtype)
        six = six.view(batch, views, -1, 6, v.width)
        own = self.view_embed[:views]
        six = six + self.view_ada(own).view(views, 1, 6, v.width)
        level = level.view(batch, views, -1, v.width) + own[:, None]
        a = self.action_proj_in(torch.cat([state, action], dim=1))
        count = a.shape[1]
        sigma = action_sigma[:, None].expand(-1, count).clone()
        sigma[:, 0] = 0
        vectors, clock = self.action_time_embed(1000 * sigma.flatten(), hidden_dtype=a.dtype)
        vectors, clock = (part.view(batch, count, -1) for part in (vectors, clock))
        vectors = vectors.unflatten(-1, (6, -1))
        line = torch.arange(count)[:, None]
        along = turns(line, (self.sizes.longest,), self.sizes.width)
        blocks = zip(self.transformer_blocks, self.action_blocks, strict=True)
        for place, (block, acting) in enumerate(blocks):
            s = (block.scale_shift_table + six).unbind(-2)
            h = rms(x) * (1 + s[1]) + s[0]
            parts = asked(block.attn1, h, h, turn)
            if place % 3 == 0:
                # Cameras see one another.
                joined = (part.flatten(1, 2) for part in parts)
                out = heard(block.attn1, *joined).view(x.shape)
            else:
                out = heard(block.attn1, *parts)
            x = x + out * s[2]
            flat = x.flatten(1, 2)
            flat = flat + heard(block.attn2, *asked(block.attn2, flat, words))
            x = flat.view(x.shape)
            x = x + block.ff(rms(x) * (1 + s[4]) + s[3]) * s[5]
            s = (acting.scale_shift_table + vectors).unbind(-2)
            h = rms(a) * (1 + s[1]) + s[0]
            a = a + heard(acting.attn1, *asked(acting.attn1, h, h, along)) * s[2]
            a = a + heard(acting.attn2, *asked(acting.attn2, a, x.flatten(1, 2)))
            a = a + acting.ff(rms(a) * (1 + s[4]) + s[3]) * s[5]
        frames = self._out(x, self.scale_shift_table, level, self.proj_out)
        chunk = self._out(a, self.action_scale_shift_table, clock, self.action_proj_out)
        return frames, chunk[:, 1:]

    def _out(self, x, table, level, edge):
        shift, scale = (table + level[..., None, :]).unbind(-2)
        return edge(functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift)
