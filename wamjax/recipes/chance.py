"""Policies that know the probability of what they draw, which RL from rewards needs.

    flow      the actions' walk is drawn (flow.company), with a strength; the future walks beside it
              without noise. W = S + 1 states are kept, S steps have a log p.
    Laplace   the chunk is drawn from the head's law (flow.losses.laplace), its scale times the
              strength. W = S = 1: the chunk itself is kept.

    draw(weights, seen, key) -> actions [B, K, A], drawn [B, W, K, A], log p [B, S, K]
    log_probs(weights, seen, key, drawn) -> log p [B, S, K], with a gradient

`key` is that of the draw: the company's noise is made of it again. Actions are normalised; `seen`
is what `System.sample_actions` is shown. Flow: Flow-GRPO, arXiv 2505.05470; Laplace: RIPT-VLA,
arXiv 2505.17016.
"""

import dataclasses
import math
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key, Params
from wamjax.flow.company import draw_in_company, log_probs_in_company
from wamjax.flow.losses import laplace_draw, laplace_log_prob
from wamjax.flow.sampler import Velocity, grid_of, phases
from wamjax.recipes.assembly import AnySystem
from wamjax.recipes.learner import Learner
from wamjax.recipes.system import System

# frames uint8 [B, V, T, H, W, 3], camera_mask bool [B, V], proprio [B, P], text uint8 [B, X]
Seen = tuple[Array, Array, Array, Array]


class Chance(Protocol):
    """See the top of the file."""

    def draw(self, params: Params, seen: Seen, key: Key) -> tuple[Array, Array, Array]: ...

    def log_probs(self, params: Params, seen: Seen, key: Key, drawn: Array) -> Array: ...

    def counts(self, replan: int) -> np.ndarray:
        """bool [S, K]: which entries bear on what is executed, the first `replan` actions."""
        ...


@dataclasses.dataclass(frozen=True)
class FlowChance:
    """The walk of a system's flow, of all programs but those that walk twice."""

    system: System
    strength: float

    def draw(self, params: Params, seen: Seen, key: Key) -> tuple[Array, Array, Array]:
        """A chunk at the walk's end."""
        noise, velocity = self._ready(params, seen, key)
        states, log_probs = draw_in_company(velocity, noise, self._grids(), self.strength, key)
        return states[-1], jnp.swapaxes(states, 0, 1), jnp.swapaxes(log_probs, 0, 1)

    def log_probs(self, params: Params, seen: Seen, key: Key, drawn: Array) -> Array:
        """log p of the walks `drawn`."""
        noise, velocity = self._ready(params, seen, key)
        states = jnp.swapaxes(drawn, 0, 1)
        out = log_probs_in_company(velocity, states, noise, self._grids(), self.strength)
        return jnp.swapaxes(out, 0, 1)

    def counts(self, replan: int) -> np.ndarray:
        """All, save what the last step adds to actions that nobody executes."""
        c = self.system.config
        counts = np.ones((c.solver_steps, c.chunk), bool)
        counts[-1, replan:] = False
        return counts

    def _grids(self) -> dict[str, Array]:
        c = self.system.config
        sampler = c.sampler(c.program)
        (phase,) = phases(c.program, sampler.video_end)
        return {
            name: grid_of(sampler, sampler.leaders[name], sampler.steps, *phase[name])
            for name in c.plan.action_targets
        }

    def _ready(self, params: Params, seen: Seen, key: Key) -> tuple[dict[str, Array], Velocity]:
        """The noises, and the velocity with the context bound."""
        return self.system.ready(params, *seen, key)


@dataclasses.dataclass(frozen=True)
class LaplaceChance:
    """A head that reads out a mean and a log-scale in one pass."""

    learner: Learner
    strength: float

    def draw(self, params: Params, seen: Seen, key: Key) -> tuple[Array, Array, Array]:
        """A chunk around the mean."""
        mean, log_scale = self._law(params, seen, key)
        actions = laplace_draw(named_keys(key, "laplace")["laplace"], mean, log_scale)
        return actions, actions[:, None], laplace_log_prob(actions, mean, log_scale)[:, None]

    def log_probs(self, params: Params, seen: Seen, key: Key, drawn: Array) -> Array:
        """log p of the chunks `drawn`."""
        actions = jax.lax.stop_gradient(drawn[:, 0])
        return laplace_log_prob(actions, *self._law(params, seen, key))[:, None]

    def counts(self, replan: int) -> np.ndarray:
        """The executed actions."""
        return np.arange(self.learner.config.chunk)[None] < replan

    def _law(self, params: Params, seen: Seen, key: Key) -> tuple[Array, Array]:
        mean, log_scale = self.learner.action_law(params, *seen, key)
        # The scale's head stays as imitation left it.
        return mean, jax.lax.stop_gradient(log_scale) + math.log(self.strength)


def chance(system: AnySystem, strength: float) -> Chance:
    """The system's own way to draw.

    Args:
        strength: of the walk's noise, or the factor of the scale; positive.

    Raises:
        ValueError: its actions have no log-probability here.
    """
    if isinstance(system, System):
        if len(phases(system.config.program)) > 1:
            raise ValueError("a system that walks in two phases has no log-probability here")
        if system.config.jump is not None or system.config.evaluated is not None:
            raise ValueError(
                "a system whose sampler jumps or reuses velocities has no log-probability here: "
                "set jump and evaluated to none"
            )
        return FlowChance(system, strength)
    if system.learning.read != "laplace":
        raise ValueError(
            f"recipe {system.config.recipe} has no log-probability here: of the recipes only those "
            "with a Laplace head (ript_vla) have one; the flow of configs/quickstart.py has one"
        )
    return LaplaceChance(system, strength)
