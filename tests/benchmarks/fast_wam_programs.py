"""The same programs on both sides: inputs, loss, sampling."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from tests.benchmarks.fast_wam_reference import BLUEPRINT, SHAPE, Reference, converted
from wamjax.core.typing import Array, Params
from wamjax.flow.sampler import SamplerConfig, sample
from wamjax.model.layout import angles_of, mask_of
from wamjax.model.tokens import Tokens
from wamjax.model.wam import Wam
from wamjax.recipes.network import network

FIRST = SHAPE.rows * SHAPE.columns


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Random inputs, as each side takes them."""

    ours: dict[str, Array]
    sample: dict[str, Array]
    theirs: dict[str, Any]


def inputs(batch: int, seed: int = 0) -> Inputs:
    """Latents, actions, text, proprio, levels and noise."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=(batch, *shape)).astype(np.float32)

    future = FIRST * SHAPE.future
    made = {
        "frame": draw(FIRST, SHAPE.latent),
        "video": draw(future, SHAPE.latent),
        "action": draw(SHAPE.chunk, SHAPE.action),
        "text": draw(SHAPE.words, SHAPE.text),
        "proprio": draw(1, SHAPE.proprio),
        "video_noise": draw(future, SHAPE.latent),
        "action_noise": draw(SHAPE.chunk, SHAPE.action),
        "video_sigma": rng.uniform(size=batch).astype(np.float32),
        "action_sigma": rng.uniform(size=batch).astype(np.float32),
    }
    t = {name: torch.tensor(value) for name, value in made.items()}

    def noisy(name: str) -> torch.Tensor:
        level = t[f"{name}_sigma"][:, None, None]
        return (1 - level) * t[name] + level * t[f"{name}_noise"]

    told = (t["text"], t["proprio"])
    theirs = {
        "inputs": (
            torch.cat([t["frame"], noisy("video")], dim=1),
            noisy("action"),
            *told,
            t["video_sigma"],
            t["action_sigma"],
        ),
        "video_velocity": t["video_noise"] - t["video"],
        "action_velocity": t["action_noise"] - t["action"],
        "sample": (t["frame"], t["action_noise"], *told),
    }
    both = jax.tree.map(jnp.asarray, made)
    return Inputs(both, both, theirs)


def pair(seed: int = 0) -> tuple[Reference, Params]:
    """The reference with noise on every weight, and the same weights in our tree."""
    layout = BLUEPRINT.training
    stack = BLUEPRINT.model.stacks[0]
    starts = layout.starts()
    tokens = slice(starts[2], starts[-1])
    torch.manual_seed(seed)
    model = Reference(
        angles_of(BLUEPRINT.model, stack, layout)[tokens, 0],
        mask_of(BLUEPRINT.model, layout)[tokens, tokens],
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return model, jax.tree.map(jnp.asarray, converted(model))


@dataclasses.dataclass(frozen=True)
class Ours:
    """Loss and sampler over the recipe's network."""

    model: Wam

    def loss(self, params: Params, given: dict[str, Array]) -> Array:
        layout = BLUEPRINT.training
        noisy = {
            name: (1 - given[f"{name}_sigma"][:, None, None]) * given[name]
            + given[f"{name}_sigma"][:, None, None] * given[f"{name}_noise"]
            for name in ("video", "action")
        }
        values = (given["text"], given["proprio"], given["frame"], noisy["video"], noisy["action"])
        real = jnp.ones((len(given["frame"]), int(layout.starts()[-1])), bool)
        sigma = {name: given[f"{name}_sigma"] for name in noisy}
        out = self.model.apply(
            {"params": params}, layout, Tokens(values, real), sigma, method="denoise"
        )
        assert isinstance(out, dict)
        errors = [
            jnp.square(out[name] - (given[f"{name}_noise"] - given[name])).mean() for name in noisy
        ]
        return errors[0] + errors[1]

    def sample(self, params: Params, given: dict[str, Array]) -> Array:
        layout = BLUEPRINT.sampling(0)
        context = layout.context()
        batch = len(given["frame"])
        values = (given["text"], given["proprio"], given["frame"])
        real = jnp.ones((batch, int(context.starts()[-1])), bool)
        call = functools.partial(self.model.apply, {"params": params})
        cache = call(context, Tokens(values, real), method="prefill")
        mine = jnp.ones((batch, SHAPE.chunk), bool)

        def velocity(x: dict[str, Array], sigma: dict[str, Array]) -> dict[str, Array]:
            tokens = Tokens((x["action"],), mine)
            found: Any = call(layout, tokens, sigma, cache, method="denoise")
            return found

        steps = BLUEPRINT.program[0].steps
        config = SamplerConfig(program="action_only", steps=steps)
        return sample(config, velocity, {"action": given["action_noise"]})["action"]


def ours() -> Ours:
    """Our side."""
    return Ours(network(BLUEPRINT))
