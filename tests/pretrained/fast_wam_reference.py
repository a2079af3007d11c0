"""FastWAM's two experts from diffusers' Wan blocks, in the arrangement of its source.

yuantianyuan01/FastWAM (45d8e14), src/fastwam/models/wan22/{fastwam,mot,action_dit}.py. Names are
diffusers', and are turned into FastWAM's and LeRobot's own.
"""

import re

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import (
    WanAttention,
    WanAttnProcessor,
    WanTimeTextImageEmbedding,
    WanTransformerBlock,
)
from torch.nn import functional

from wamjax.pretrained import wan
from wamjax.pretrained.fast_wam import Sizes

CLOCK = 256
ABOVE, OF_LAYER = (
    tuple((one, other) for one, other, *_ in rows) for rows in (wan.MODULES, wan.OF_LAYER)
)


def block(width: int, mlp: int, heads: int, head_dim: int) -> WanTransformerBlock:
    """One whose heads are as wide together as another expert's."""
    made = WanTransformerBlock(width, mlp, heads, cross_attn_norm=True)
    made.attn1 = WanAttention(width, heads, head_dim, eps=1e-6, processor=WanAttnProcessor())
    made.attn2 = WanAttention(
        width,
        heads,
        head_dim,
        eps=1e-6,
        cross_attention_dim_head=head_dim,
        processor=WanAttnProcessor(),
    )
    return made


def angles(positions: np.ndarray, count: int) -> torch.Tensor:
    """What `count` numbers of a head turn by: [N, count / 2]."""
    frequencies = 10_000.0 ** (-np.arange(0, count, 2) / count)
    return torch.tensor(positions[:, None] * frequencies)


def of_grid(grid: tuple[int, int, int], head_dim: int) -> torch.Tensor:
    """Of video tokens, in time, row, column order."""
    side = 2 * (head_dim // 6)
    places = np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), -1).reshape(-1, 3)
    widths = (head_dim - 2 * side, side, side)
    return torch.cat([angles(places[:, axis], n) for axis, n in enumerate(widths)], dim=-1)


def turned(x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Neighbours turned; x [B, N, heads, head_dim]."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    turns = torch.polar(torch.ones_like(angle), angle)[None, :, None]
    return torch.view_as_real(pairs * turns).flatten(-2)


def normed(norm: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """A norm of diffusers', which would compute in float32."""
    return functional.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps)


def attended(query, key, value, mask):
    """[B, N, heads, head_dim] each; mask bool [N, M]."""
    parts = (x.transpose(1, 2) for x in (query, key, value))
    return functional.scaled_dot_product_attention(*parts, attn_mask=mask).transpose(1, 2)


def video_model(sizes: wan.Sizes) -> WanTransformer3DModel:
    """Wan 2.2's, for videos of at most 32 frames, rows and columns."""
    return WanTransformer3DModel(
        num_attention_heads=sizes.heads,
        attention_head_dim=sizes.head_dim,
        in_channels=sizes.channels,
        out_channels=sizes.channels,
        text_dim=sizes.text,
        ffn_dim=sizes.mlp,
        num_layers=sizes.depth,
        rope_max_seq_len=32,
    )


class Actions(torch.nn.Module):
    """The action expert."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        v, width = sizes.video, sizes.width
        self.condition_embedder = WanTimeTextImageEmbedding(width, CLOCK, 6 * width, v.text)
        self.action_encoder = torch.nn.Linear(sizes.action, width)
        self.blocks = torch.nn.ModuleList(
            block(width, sizes.mlp, v.heads, v.head_dim) for _ in range(v.depth)
        )
        self.head = torch.nn.Linear(width, sizes.action)


class Reference(torch.nn.Module):
    """Both experts and proprio's map."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        v = sizes.video
        self.sizes = sizes
        self.video = video_model(v)
        self.action = Actions(sizes)
        self.proprio_encoder = torch.nn.Linear(sizes.proprio, v.text)

    def forward(self, latents, action, text, proprio, video_sigma, action_sigma):
        """Predictions for every video token and every action.

        Args:
            latents: [B, c, L, h, w], the first frame clean.
            action, text: [B, K, A], [B, X, text].
            proprio: [B, P].
            video_sigma, action_sigma: [B].
        """
        v, k = self.sizes.video, action.shape[1]
        told = torch.cat([text, self.proprio_encoder(proprio)[:, None]], dim=1)
        video = self.video.patch_embedding(latents)
        grid = tuple(video.shape[2:])
        first = grid[1] * grid[2]
        n = first * grid[0]
        clock = torch.cat(
            [torch.zeros(len(text), first), video_sigma[:, None].expand(-1, n - first)], 1
        )
        sigma = {"video": clock, "action": action_sigma[:, None].expand(-1, k)}
        places = {"video": of_grid(grid, v.head_dim), "action": angles(np.arange(k), v.head_dim)}
        experts = {"video": self.video, "action": self.action}
        x = {"video": video.flatten(2).mT, "action": self.action.action_encoder(action)}
        mask = torch.ones(n + k, n + k, dtype=torch.bool)
        mask[:first, first:] = mask[:n, n:] = mask[n:, first:n] = False
        level, vectors, words = {}, {}, {}
        for name, expert in experts.items():
            times, count = (1000 * sigma[name]).flatten(), x[name].shape[1]
            level[name], six, words[name], _ = expert.condition_embedder(
                times, told, None, timestep_seq_len=count
            )
            vectors[name] = six.unflatten(2, (6, -1))
        for place in range(v.depth):
            ours = {name: expert.blocks[place] for name, expert in experts.items()}
            six = {
                name: (layer.scale_shift_table[:, None] + vectors[name]).unbind(2)
                for name, layer in ours.items()
            }
            queries, keys, values = [], [], []
            for name, layer in ours.items():
                h = normed(layer.norm1, x[name]) * (1 + six[name][1]) + six[name][0]
                one, split = layer.attn1, (v.heads, v.head_dim)
                queries.append(turned(one.norm_q(one.to_q(h)).unflatten(-1, split), places[name]))
                keys.append(turned(one.norm_k(one.to_k(h)).unflatten(-1, split), places[name]))
                values.append(one.to_v(h).unflatten(-1, split))
            seen = attended(*(torch.cat(part, 1) for part in (queries, keys, values)), mask)
            for name, layer, part in zip(ours, ours.values(), seen.split([n, k], 1), strict=True):
                h = x[name] + layer.attn1.to_out[0](part.flatten(-2)) * six[name][2]
                h = h + layer.attn2(normed(layer.norm2, h), words[name])
                wide = normed(layer.norm3, h) * (1 + six[name][4]) + six[name][3]
                x[name] = h + layer.ffn(wide) * six[name][5]
        shift, scale = (self.video.scale_shift_table[:, None] + level["video"][:, :, None]).unbind(
            2
        )
        read = normed(self.video.norm_out, x["video"]) * (1 + scale) + shift
        return self.video.proj_out(read), self.action.head(x["action"])


def original(name: str) -> str:
    """Wan's original name of a tensor of diffusers' model, or of an expert like it."""
    layer = re.match(r"blocks\.\d+\.", name)
    begin = layer.group() if layer else ""
    rest = name.removeprefix(begin)
    for one, other in OF_LAYER if layer else ABOVE:
        if rest == one or rest.startswith(f"{one}."):
            rest = f"{other}{rest.removeprefix(one)}"
            break
    return f"{begin}{rest}"


def published(name: str) -> str:
    """FastWAM's name of a tensor of `Reference`."""
    expert, _, rest = name.partition(".")
    return name if expert == "proprio_encoder" else f"mot.mixtures.{expert}.{original(rest)}"


def of_lerobot(name: str) -> str:
    """LeRobot's name of a tensor of FastWAM's."""
    return "model." + re.sub(
        r"^mot\.mixtures\.(\w+)\.blocks\.(\d+)\.", r"mot.layers.\2.blocks.\1.", name
    )
