"""DreamZero's network from diffusers' Wan blocks, in the arrangement of its source.

dreamzero0/dreamzero (ab790c1), groot/vla/model/dreamzero/modules: its training pass with the clean
video before, block by block, without the first noisy frame, which nothing else sees. Names are
diffusers', and are turned into DreamZero's own.
"""

import math

import numpy as np
import torch
from torch.nn import functional

from tests.pretrained.fast_wam_reference import angles, attended, normed, of_grid, turned
from wamjax.pretrained import wan
from wamjax.pretrained.dreamzero import Sizes
from wamjax.pretrained.originals.video import wan_module

ABOVE, OF_LAYER = (
    tuple((one, other) for one, other, *_ in rows)
    for rows in ((*wan.MODULES, *wan.OF_IMAGE), (*wan.OF_LAYER, *wan.OF_IMAGE_LAYER))
)


class Embodied(torch.nn.Module):
    """A linear map with an axis of embodiments, of which there is one."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.W = torch.nn.Parameter(torch.randn(1, inputs, outputs) / inputs**0.5)
        self.b = torch.nn.Parameter(torch.zeros(1, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.W[0] + self.b[0]


class Twice(torch.nn.Module):
    """Two of them with ReLU between."""

    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.layer1, self.layer2 = Embodied(inputs, hidden), Embodied(hidden, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer2(functional.relu(self.layer1(x)))


class Actions(torch.nn.Module):
    """Noisy actions [B, K, A] with their noise levels [B, K] to tokens."""

    def __init__(self, action: int, width: int):
        super().__init__()
        self.W1, self.W2 = Embodied(action, width), Embodied(2 * width, width)
        self.W3 = Embodied(width, width)

    def forward(self, action: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        h = self.W1(action)
        half = h.shape[-1] // 2
        # In float32, as the source computes it.
        fall = -torch.arange(half, dtype=torch.float32) * (math.log(10_000.0) / half)
        angle = (1000 * sigma).float()[..., None] * fall.exp()
        timed = torch.cat([angle.sin(), angle.cos()], dim=-1).to(h.dtype)
        return self.W3(functional.silu(self.W2(torch.cat([h, timed], dim=-1))))


class Reference(torch.nn.Module):
    """The trunk and the edges.

    Args:
        future: latent frames of a block.
    """

    def __init__(self, sizes: Sizes, future: int):
        super().__init__()
        self.sizes, self.future = sizes, future
        width = sizes.trunk.width
        self.trunk = wan_module(sizes.trunk).fresh()
        self.state_encoder = Twice(sizes.proprio, sizes.hidden, width)
        self.action_encoder = Actions(sizes.action, width)
        self.action_decoder = Twice(width, sizes.hidden, sizes.action)

    def forward(self, clean, noisy, beside, action, state, text, image, video_sigma, action_sigma):
        """Predictions for the noisy video tokens behind the first frame, and for the actions.

        Args:
            clean, noisy: [B, c, L, h, w], a first frame and L - 1 in blocks.
            beside: [B, m, L, h, w], behind the channels of both; None where nothing is.
            action, state: [B, blocks K, A], [B, blocks, P].
            text, image: [B, X, text], [B, pieces, features].
            video_sigma, action_sigma: [B, L], [B, blocks K].
        """
        v, trunk, blocks = self.sizes.trunk, self.trunk, state.shape[1]
        chunk = action.shape[1] // blocks

        def patched(latents):
            wide = latents if beside is None else torch.cat([latents, beside], dim=1)
            return trunk.patch_embedding(wide)

        x = patched(clean)
        grid = tuple(x.shape[2:])
        frame = grid[1] * grid[2]
        count = frame * grid[0]
        video = [x.flatten(2).mT, patched(noisy).flatten(2).mT[:, frame:]]
        told = [self.action_encoder(action, action_sigma), self.state_encoder(state)]
        x = torch.cat([*video, *told], dim=1)
        later = video_sigma[:, 1:].repeat_interleave(frame, dim=1)
        clock = [torch.zeros_like(x[:, :count, 0]), later, action_sigma, action_sigma[:, ::chunk]]
        times = (1000 * torch.cat(clock, dim=1)).flatten()
        made = trunk.condition_embedder(times, text, None, timestep_seq_len=x.shape[1])
        level, vectors, words = made[0], made[1].unflatten(2, (6, -1)), made[2]
        eye = trunk.condition_embedder.image_embedder
        seen = normed(eye.norm2, eye.ff(normed(eye.norm1, image)))
        places = of_grid(grid, v.head_dim)
        lines = [angles(np.arange(n), v.head_dim) for n in (blocks * chunk, blocks)]
        places = torch.cat([places, places[frame:], *lines])
        mask = self.mask(grid[0], frame, blocks, chunk)
        split = (v.heads, v.head_dim)
        for layer in trunk.blocks:
            six = (layer.scale_shift_table[:, None] + vectors).unbind(2)
            h, one = normed(layer.norm1, x) * (1 + six[1]) + six[0], layer.attn1
            query, key = (
                turned(norm(to(h)).unflatten(-1, split), places)
                for norm, to in ((one.norm_q, one.to_q), (one.norm_k, one.to_k))
            )
            read = attended(query, key, one.to_v(h).unflatten(-1, split), mask)
            x = x + one.to_out[0](read.flatten(-2)) * six[2]
            one = layer.attn2
            query = one.norm_q(one.to_q(normed(layer.norm2, x))).unflatten(-1, split)
            pairs = (
                (one.norm_k(one.to_k(words)), one.to_v(words)),
                (one.norm_added_k(one.add_k_proj(seen)), one.add_v_proj(seen)),
            )
            both = [
                attended(query, key.unflatten(-1, split), value.unflatten(-1, split), None)
                for key, value in pairs
            ]
            x = x + one.to_out[0]((both[0] + both[1]).flatten(-2))
            wide = normed(layer.norm3, x) * (1 + six[4]) + six[3]
            x = x + layer.ffn(wide) * six[5]
        shift, scale = (trunk.scale_shift_table[:, None] + level[:, :, None]).unbind(2)
        read = normed(trunk.norm_out, x) * (1 + scale) + shift
        end = 2 * count - frame
        video = trunk.proj_out(read[:, count:end])
        return video, self.action_decoder(x[:, end : end + blocks * chunk])

    def mask(self, frames: int, frame: int, blocks: int, chunk: int) -> torch.Tensor:
        """Bool [N, N]; who sees whom, of clean video, noisy video, actions and states."""
        of_frame = [0] + [1 + n // self.future for n in range(frames - 1)]
        numbers = range(1, blocks + 1)
        runs = [
            *(("clean", block, frame) for block in of_frame),
            *(("noisy", block, frame) for block in of_frame[1:]),
            *(("noisy", block, chunk) for block in numbers),
            *(("state", block, 1) for block in numbers),
        ]
        tokens = [(kind, block) for kind, block, count in runs for _ in range(count)]

        def sees(query: tuple[str, int], key: tuple[str, int]) -> bool:
            (one, block), (other, of) = query, key
            match one, other:
                case "clean", "clean":
                    return of <= block
                case "noisy", "clean":
                    return of < block
                case "noisy", _:
                    return of == block
                case _:
                    return query == key

        return torch.tensor([[sees(query, key) for key in tokens] for query in tokens])


def published(name: str) -> str:
    """DreamZero's name of a tensor of `Reference`."""
    part, _, rest = name.partition(".")
    if part != "trunk":
        return f"action_head.model.{name}"
    begin = ""
    if rest.startswith("blocks."):
        _, number, rest = rest.split(".", 2)
        begin = f"blocks.{number}."
    for one, other in OF_LAYER if begin else ABOVE:
        if rest == one or rest.startswith(f"{one}."):
            rest = f"{other}{rest.removeprefix(one)}"
            break
    return f"action_head.model.{begin}{rest}"
