"""FastWAM's core in PyTorch, built from diffusers' Wan blocks: what our recipe is compared with.

Two experts in one attention: video tokens (first frame clean, the rest noisy) and action tokens;
text and proprio by cross-attention. Keys and values of the first frame and of the text are computed
once for sampling, as ours are.
"""

import dataclasses

import numpy as np
import torch
from diffusers.models.transformers.transformer_wan import WanAttention, WanTransformerBlock
from torch.nn import functional

from wamjax.recipes.blueprint import Blueprint, Shape
from wamjax.recipes.fast_wam import Widths, assembled

SHAPE = Shape(
    words=32,
    text=64,
    rows=8,
    columns=8,
    past=1,
    future=2,
    latent=64,
    chunk=16,
    action=7,
    proprio=8,
)
WIDTHS: Widths = ((256, 1024), (128, 512), (6, 4, 64))
_usual: Blueprint = assembled(SHAPE, WIDTHS, "first_frame")
BLUEPRINT = dataclasses.replace(_usual, model=dataclasses.replace(_usual.model, scan_layers=False))
FREQUENCIES = 256


def turned(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Rotary positions on neighbouring pairs; x [B, N, heads, head_dim]."""
    cosine, sine = angles.cos()[None, :, None], angles.sin()[None, :, None]
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1).flatten(-2)


class Expert(torch.nn.Module):
    """One stream's blocks, its clock, its edges."""

    def __init__(self, width: int, mlp: int, depth: int, heads: int, head_dim: int, values: int):
        super().__init__()
        self.blocks = torch.nn.ModuleList()
        for _ in range(depth):
            block = WanTransformerBlock(width, mlp, heads, cross_attn_norm=True)
            block.attn1 = WanAttention(width, heads, head_dim, eps=1e-6)
            block.attn2 = WanAttention(
                width, heads, head_dim, eps=1e-6, cross_attention_dim_head=head_dim
            )
            self.blocks.append(block)
        self.into = torch.nn.Linear(values, width)
        self.time_in = torch.nn.Linear(FREQUENCIES, width)
        self.time_out = torch.nn.Linear(width, width)
        self.time_shared = torch.nn.Linear(width, 6 * width)
        self.text_in = torch.nn.Linear(SHAPE.text, width)
        self.text_out = torch.nn.Linear(width, width)
        self.table = torch.nn.Parameter(torch.randn(2, width) / width**0.5)
        self.out = torch.nn.Linear(width, values)
        self.heads, self.head_dim = heads, head_dim

    def level(self, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """sigma [B, N] -> the level's vector [B, N, D] and the six of the layers [B, N, 6, D]."""
        half = FREQUENCIES // 2
        power = -np.log(10_000) * torch.arange(half, dtype=torch.float32) / half
        angle = (1000 * sigma)[..., None] * power.exp()
        features = torch.cat([angle.cos(), angle.sin()], dim=-1)
        level = self.time_out(functional.silu(self.time_in(features)))
        shared = self.time_shared(functional.silu(level))
        return level, shared.unflatten(-1, (6, -1))

    def told(self, text: torch.Tensor) -> torch.Tensor:
        return self.text_out(functional.gelu(self.text_in(text), approximate="tanh"))

    def memory(self, told: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of the text in every layer."""
        split = (self.heads, self.head_dim)
        return [
            (
                block.attn2.norm_k(block.attn2.to_k(told)).unflatten(-1, split),
                block.attn2.to_v(told).unflatten(-1, split),
            )
            for block in self.blocks
        ]

    def project(self, place: int, x: torch.Tensor, shared: torch.Tensor, angles: torch.Tensor):
        """Query, key, value and the modulation of one layer."""
        block = self.blocks[place]
        six = (block.scale_shift_table + shared).unbind(2)
        h = functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + six[1]) + six[0]
        split = (self.heads, self.head_dim)
        a = block.attn1
        query = turned(a.norm_q(a.to_q(h)).unflatten(-1, split), angles)
        key = turned(a.norm_k(a.to_k(h)).unflatten(-1, split), angles)
        return query, key, a.to_v(h).unflatten(-1, split), six

    def finish(self, place: int, x, attended, six, memory):
        """The rest of one layer."""
        block = self.blocks[place]
        x = x + block.attn1.to_out[0](attended.flatten(-2)) * six[2]
        a = block.attn2
        query = a.norm_q(a.to_q(block.norm2(x))).unflatten(-1, (self.heads, self.head_dim))
        x = x + a.to_out[0](attend(query, *memory).flatten(-2))
        h = functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + six[4]) + six[3]
        return x + block.ffn(h) * six[5]

    def read(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        shift, scale = (self.table + level[:, :, None]).unbind(2)
        h = functional.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
        return self.out(h)


def attend(query, key, value, mask=None):
    """[B, N, heads, head_dim] each."""
    out = functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=mask
    )
    return out.transpose(1, 2)


class Reference(torch.nn.Module):
    """FastWAM's core; `angles` float [N, head_dim / 2] and `mask` bool [N, N] of its tokens."""

    def __init__(self, angles: np.ndarray, mask: np.ndarray):
        super().__init__()
        (width, mlp), (action, action_mlp), (depth, heads, head_dim) = WIDTHS
        self.video = Expert(width, mlp, depth, heads, head_dim, SHAPE.latent)
        self.action = Expert(action, action_mlp, depth, heads, head_dim, SHAPE.action)
        self.proprio = torch.nn.Linear(SHAPE.proprio, action)
        self.register_buffer("angles", torch.tensor(angles))
        self.register_buffer("mask", torch.tensor(mask))
        self.first = SHAPE.rows * SHAPE.columns
        self.frames = self.first * (SHAPE.past + SHAPE.future)

    def told(self, text: torch.Tensor, proprio: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.action.told(text), self.proprio(proprio)], dim=1)

    def forward(self, video, action, text, proprio, video_sigma, action_sigma):
        """Velocities of the noisy video tokens and of the actions.

        Args: video [B, N, 64] with the first frame clean; sigmas [B].
        """
        sigma = torch.zeros(video.shape[:2])
        sigma[:, self.first :] = video_sigma[:, None]
        v_level, v_shared = self.video.level(sigma)
        a_level, a_shared = self.action.level(action_sigma[:, None].expand(-1, action.shape[1]))
        v_memory = self.video.memory(self.video.told(text))
        a_memory = self.action.memory(self.told(text, proprio))
        x, y = self.video.into(video), self.action.into(action)
        n = self.frames
        for place in range(len(self.video.blocks)):
            vq, vk, vv, v_six = self.video.project(place, x, v_shared, self.angles[:n])
            aq, ak, av, a_six = self.action.project(place, y, a_shared, self.angles[n:])
            out = attend(
                torch.cat([vq, aq], 1), torch.cat([vk, ak], 1), torch.cat([vv, av], 1), self.mask
            )
            x = self.video.finish(place, x, out[:, :n], v_six, v_memory[place])
            y = self.action.finish(place, y, out[:, n:], a_six, a_memory[place])
        video_out = self.video.read(x, v_level)[:, self.first :]
        return video_out, self.action.read(y, a_level)

    @torch.no_grad()
    def sample(self, frame, noise, text, proprio, steps: int = 10):
        """Actions from `noise` [B, K, A], by Euler steps, the first frame's keys computed once."""
        _, shared = self.video.level(torch.zeros(frame.shape[:2]))
        memory = self.video.memory(self.video.told(text))
        x, keys = self.video.into(frame), []
        for place in range(len(self.video.blocks)):
            query, key, value, six = self.video.project(place, x, shared, self.angles[: self.first])
            keys.append((key, value))
            x = self.video.finish(place, x, attend(query, key, value), six, memory[place])
        memory = self.action.memory(self.told(text, proprio))
        y = noise
        for step in range(steps):
            sigma = torch.full(noise.shape[:2], 1 - step / steps)
            level, shared = self.action.level(sigma)
            h = self.action.into(y)
            for place, (key, value) in enumerate(keys):
                aq, ak, av, six = self.action.project(place, h, shared, self.angles[self.frames :])
                out = attend(aq, torch.cat([key, ak], 1), torch.cat([value, av], 1))
                h = self.action.finish(place, h, out, six, memory[place])
            y = y - self.action.read(h, level) / steps
        return y


def converted(model: Reference) -> dict:
    """The reference's weights in our tree."""
    state = {name: x.detach().numpy() for name, x in model.state_dict().items()}
    depth, heads, head_dim = WIDTHS[2]

    def linear(name: str) -> dict:
        return {"kernel": state[f"{name}.weight"].T, "bias": state[f"{name}.bias"]}

    def headed(*names: str) -> dict:
        kernels = [state[f"{n}.weight"].T.reshape(-1, heads, head_dim) for n in names]
        biases = [state[f"{n}.bias"].reshape(heads, head_dim) for n in names]
        if len(names) == 1:
            return {"kernel": kernels[0], "bias": biases[0]}
        return {"kernel": np.stack(kernels, 2), "bias": np.stack(biases, 1)}

    def back(name: str) -> dict:
        kernel = state[f"{name}.weight"].T.reshape(heads, head_dim, -1)
        return {"kernel": kernel, "bias": state[f"{name}.bias"]}

    def normed(name: str) -> dict:
        return {"norm": {"scale": state[f"{name}.weight"]}}

    def layer(expert: str, place: int) -> dict:
        b = f"{expert}.blocks.{place}"
        return {
            f"{expert}_in": {
                "modulation": {"table": state[f"{b}.scale_shift_table"][0]},
                "qkv": headed(*(f"{b}.attn1.to_{x}" for x in "qkv")),
                "query_norm": normed(f"{b}.attn1.norm_q"),
                "key_norm": normed(f"{b}.attn1.norm_k"),
            },
            f"{expert}_memory": {
                "kv": headed(*(f"{b}.attn2.to_{x}" for x in "kv")),
                "key_norm": normed(f"{b}.attn2.norm_k"),
            },
            f"{expert}_out": {
                "out": back(f"{b}.attn1.to_out.0"),
                "memory_norm": {
                    "scale": state[f"{b}.norm2.weight"],
                    "bias": state[f"{b}.norm2.bias"],
                },
                "memory_q": headed(f"{b}.attn2.to_q"),
                "memory_query_norm": normed(f"{b}.attn2.norm_q"),
                "memory_out": back(f"{b}.attn2.to_out.0"),
                "mlp": {"up": linear(f"{b}.ffn.net.0.proj"), "down": linear(f"{b}.ffn.net.2")},
            },
        }

    layers = {f"layers_{p}": layer("video", p) | layer("action", p) for p in range(depth)}
    tree: dict = {"stack_main": layers}
    for expert, words in (("video", "embed_text"), ("action", "embed_text_told")):
        width = state[f"{expert}.table"].shape[1]
        shared = linear(f"{expert}.time_shared")
        tree[words] = {
            "in": {"one": linear(f"{expert}.text_in")},
            "out": linear(f"{expert}.text_out"),
        }
        tree[f"embed_{expert}"] = {"in": {"one": linear(f"{expert}.into")}}
        tree[f"level_{expert}"] = {
            "in": linear(f"{expert}.time_in"),
            "out": linear(f"{expert}.time_out"),
            "shared": {
                "kernel": shared["kernel"].reshape(width, 6, width),
                "bias": shared["bias"].reshape(6, width),
            },
        }
        tree[f"head_{expert}"] = {
            "table": state[f"{expert}.table"],
            "out": {"one": linear(f"{expert}.out")},
        }
    tree["embed_proprio"] = {"in": {"one": linear("proprio")}}
    return tree
