"""Motus's three experts from diffusers' Wan blocks and plain PyTorch, arranged as in its source.

thu-ml/Motus, models/{motus,action_expert,und_expert}.py and bak/wan/modules/model.py. The video's
names are diffusers', and are turned into Motus's own; the others are Motus's.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tests.pretrained.fast_wam_reference import (
    attended,
    normed,
    of_grid,
    original,
    turned,
    video_model,
)
from wamjax.pretrained.motus import ACTION, MIND, VIDEO, Sizes

CLOCK = 256


def three(inputs: int, width: int) -> nn.Sequential:
    """Three linear maps with SiLU between them."""
    parts: list[nn.Module] = [nn.Linear(inputs, width)]
    for _ in range(2):
        parts += [nn.SiLU(), nn.Linear(width, width)]
    return nn.Sequential(*parts)


def cosines(times: torch.Tensor) -> torch.Tensor:
    """Features of times [...]: cosines, then sines."""
    angle = times[..., None] * 10_000.0 ** (-torch.arange(CLOCK // 2).double() / (CLOCK // 2))
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def places(count: int, width: int) -> torch.Tensor:
    """Fixed places [count, width]: sines, then cosines."""
    fall = 1 / 10_000.0 ** (torch.arange(width // 2).double() / (width / 2))
    angle = torch.arange(count).double()[:, None] * fall
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


class Small(nn.Module):
    """A layer of one of the small experts, whose parts are called after it."""

    def __init__(self, name: str, widths: tuple[int, int], heads: int, head_dim: int, eps: float):
        super().__init__()
        (width, mlp), inner = widths, heads * head_dim
        self.name, self.eps, self.split = name, eps, (heads, head_dim)
        parts = {
            "qkv": nn.Parameter(torch.randn(3, heads, width, head_dim) * width**-0.5),
            "norm_q": nn.RMSNorm(inner, eps=eps),
            "norm_k": nn.RMSNorm(inner, eps=eps),
            "o": nn.Linear(inner, width, bias=False),
        }
        for part, made in parts.items():
            setattr(self, f"wan_{name}_{part}", made)
        gelu = nn.GELU(approximate="tanh")
        self.ffn = nn.Sequential(nn.Linear(width, mlp), gelu, nn.Linear(mlp, width))

    def part(self, name: str):
        return getattr(self, f"wan_{self.name}_{name}")

    def norm(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, x.shape[-1:], eps=self.eps)

    def asked(self, h: torch.Tensor) -> list[torch.Tensor]:
        """Query, key and value [B, N, heads, head_dim]."""
        query, key, value = torch.einsum("bnw,khwd->kbnhd", h, self.part("qkv"))
        query = self.part("norm_q")(query.flatten(-2)).unflatten(-1, self.split)
        key = self.part("norm_k")(key.flatten(-2)).unflatten(-1, self.split)
        return [query, key, value]

    def told(self, attended: torch.Tensor) -> torch.Tensor:
        return self.part("o")(attended.flatten(-2))


class Acting(Small):
    """The same, moved by the noise level."""

    def __init__(self, *args):
        super().__init__(*args)
        self.modulation = nn.Parameter(torch.randn(1, 6, self.ffn[0].in_features))


class Actions(nn.Module):
    """The action expert."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        v, (width, mlp) = sizes.video, sizes.acting
        self.input_encoder = nn.ModuleDict(
            {
                "state_encoder": three(sizes.proprio, width),
                "action_encoder": three(sizes.action, width),
            }
        )
        self.registers = nn.Parameter(torch.randn(1, sizes.registers, width))
        self.time_embedding = nn.Sequential(
            nn.Linear(CLOCK, width), nn.SiLU(), nn.Linear(width, width)
        )
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.blocks = nn.ModuleList(
            Acting("action", (width, mlp), v.heads, v.head_dim, 1e-6) for _ in range(v.depth)
        )
        self.decoder = nn.Module()
        self.decoder.modulation = nn.Parameter(torch.randn(1, 2, width))
        self.decoder.action_head = nn.Sequential(nn.Linear(width, sizes.action))

    def tokens(self, proprio: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """State, actions and registers, at their places."""
        encoders = self.input_encoder
        parts = [
            encoders["state_encoder"](proprio[:, None]),
            encoders["action_encoder"](action),
            self.registers.expand(len(action), -1, -1),
        ]
        x = torch.cat(parts, dim=1)
        return x + places(*x.shape[1:])


class Mind(nn.Module):
    """The understanding expert."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        v, (width, mlp) = sizes.video, sizes.mind
        self.vlm_adapter = three(sizes.told, width)
        self.blocks = nn.ModuleList(
            Small("und", (width, mlp), v.heads, v.head_dim, 1e-5) for _ in range(v.depth)
        )


class Reference(nn.Module):
    """All three."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        v = sizes.video
        self.sizes = sizes
        self.video = video_model(v)
        self.action = Actions(sizes)
        self.mind = Mind(sizes)

    def forward(self, latents, action, text, proprio, told, video_sigma, action_sigma):
        """Predictions for every video token and every action.

        Args:
            latents: [B, c, L, h, w], the first frame clean, but at the video's noise level.
            action, text, told: [B, K, A], [B, X, text], [B, M, told].
            proprio: [B, P].
            video_sigma, action_sigma: [B].
        """
        v = self.sizes.video
        video, acts, mind = self.video, self.action, self.mind
        patches = video.patch_embedding(latents)
        grid = tuple(patches.shape[2:])
        x, a, u = patches.flatten(2).mT, acts.tokens(proprio, action), mind.vlm_adapter(told)
        counts = [part.shape[1] for part in (x, a, u)]
        times = 1000 * video_sigma[:, None].expand(-1, counts[0])
        level, six, words, _ = video.condition_embedder(
            times.flatten(), text, None, timestep_seq_len=counts[0]
        )
        six = six.unflatten(2, (6, -1))
        clock = acts.time_embedding(cosines(1000 * action_sigma))[:, None]
        own = acts.time_projection(clock).unflatten(-1, (6, -1))
        turn = of_grid(grid, v.head_dim)
        for trunk, acting, knowing in zip(video.blocks, acts.blocks, mind.blocks, strict=True):
            moved = (trunk.scale_shift_table[:, None] + six).unbind(2)
            steered = (acting.modulation[:, None] + own).unbind(2)
            one, split = trunk.attn1, (v.heads, v.head_dim)
            h = normed(trunk.norm1, x) * (1 + moved[1]) + moved[0]
            seen = [
                turned(one.norm_q(one.to_q(h)).unflatten(-1, split), turn),
                turned(one.norm_k(one.to_k(h)).unflatten(-1, split), turn),
                one.to_v(h).unflatten(-1, split),
            ]
            asked = acting.asked(acting.norm(a) * (1 + steered[1]) + steered[0])
            heard = knowing.asked(knowing.norm(u))
            parts = (torch.cat(part, 1) for part in zip(seen, asked, heard, strict=True))
            of_x, of_a, of_u = attended(*parts, None).split(counts, 1)
            x = x + one.to_out[0](of_x.flatten(-2)) * moved[2]
            a = a + acting.told(of_a) * steered[2]
            u = u + knowing.told(of_u)
            x = x + trunk.attn2(normed(trunk.norm2, x), words)
            x = x + trunk.ffn(normed(trunk.norm3, x) * (1 + moved[4]) + moved[3]) * moved[5]
            a = a + acting.ffn(acting.norm(a) * (1 + steered[4]) + steered[3]) * steered[5]
            u = u + knowing.ffn(knowing.norm(u))
        shift, scale = (video.scale_shift_table[:, None] + level[:, :, None]).unbind(2)
        frames = video.proj_out(normed(video.norm_out, x) * (1 + scale) + shift)
        shift, scale = (acts.decoder.modulation[:, None] + clock[:, :, None]).unbind(2)
        chunk = functional.layer_norm(a, a.shape[-1:], eps=1e-6) * (1 + scale) + shift
        return frames, acts.decoder.action_head(chunk)[:, 1 : 1 + action.shape[1]]


def published(name: str) -> str:
    """Motus's name of a tensor of `Reference`."""
    part, _, rest = name.partition(".")
    above = {"video": VIDEO, "action": ACTION, "mind": MIND}[part]
    return above + (original(rest) if part == "video" else rest)


def again(named: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The names under which a file of theirs holds the experts once more."""
    modules = {VIDEO: ("video_module.", "action_module."), ACTION: ("action_module.",)}
    modules[MIND] = ("und_module.",)
    return {
        f"{module}{name}": x
        for name, x in named.items()
        for above, others in modules.items()
        if name.startswith(above)
        for module in others
    }
