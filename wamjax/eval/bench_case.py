"""What the rollout bench plays: worlds of one task and a policy that sees them.

The policy is a trained run, or the quick start's system untrained, at a chosen width and depth: it
reads the same pictures, text and proprio and costs the same as a trained one of its size. Both
contestants build it from this record, each in a process of its own, and get the same weights.
"""

import dataclasses
import pathlib

import flax.linen as nn
import jax
import numpy as np

from wamjax.core.runtime import once_jit
from wamjax.core.typing import Params
from wamjax.data.normalising.normalise import Normaliser
from wamjax.eval.trained_run import open_run
from wamjax.model.couplings import Size, coupled
from wamjax.policy.base import Needs, Policy
from wamjax.policy.baselines import random_policy
from wamjax.policy.trained import trained_policy
from wamjax.recipes.system import System
from wamjax.recipes.tabletop import tabletop
from wamjax.sim.env import PROPRIO_PER_ARM, TabletopEnv
from wamjax.sim.instructions import TEXT_LENGTH
from wamjax.sim.stepping import Physics
from wamjax.sim.variants import Variant

HEADS = 2
NOISE = 0.03
SPREAD = np.array([0.015, 0.015, 0.015, 0.02, 0.02, 0.02, 0.25], np.float32)
CENTRE = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.75], np.float32)
"""The untrained policy's actions are about CENTRE + SPREAD times a standard normal (m, rad, 0..1),
the blind one's are uniform within it, so that the arm moves among the blocks as in an episode."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """What is played.

    Attributes:
        task: its name.
        size: H = W of the pictures, pixels.
        cameras: which are drawn, in this order.
        worlds: E, clean worlds with the seeds 0 .. E - 1.
        horizon: control ticks of every episode; none ends sooner.
        width: of the untrained policy's trunk.
        depth: its layers.
        workdir: a run of `wamjax train` instead.
        text_length: bytes of the padded instruction.
        seed: of the weights and of the policy's draws.
    """

    task: str
    size: int
    cameras: tuple[str, ...]
    worlds: int
    horizon: int
    width: int = 48
    depth: int = 2
    workdir: str | None = None
    text_length: int = TEXT_LENGTH
    seed: int = 0

    def env(self, physics: Physics) -> TabletopEnv:
        """The environment, with the distractors in the scene as in an evaluation."""
        return TabletopEnv(
            self.task,
            image_size=self.size,
            cameras=self.cameras,
            physics=physics,
            text_length=self.text_length,
        )

    def variants(self) -> Variant:
        """Clean worlds, int32 [E]."""
        zeros = np.zeros(self.worlds, np.int32)
        seeds = np.arange(self.worlds, dtype=np.int32)
        blank = {field.name: zeros for field in dataclasses.fields(Variant)}
        return Variant(**{**blank, "seed": seeds})

    def policy(self) -> tuple[Policy, Params]:
        """The policy and its weights.

        Raises:
            UserError: there is no such run.
        """
        if self.workdir is not None:
            run = open_run(pathlib.Path(self.workdir))
            return run.policy(self.cameras), run.weights
        arms = len(self.env("c").robot.arms)
        shape = tabletop()
        size = Size(
            width=self.width,
            depth=self.depth,
            heads=HEADS,
            head_dim=self.width // HEADS,
            action_width=2 * self.width // 3,
        )
        config = dataclasses.replace(
            shape,
            views=len(self.cameras),
            predicted_views=1,
            text_length=self.text_length,
            image_size=self.size,
            model=coupled("mot", size, patch=shape.model.patch),
            action_dim=len(SPREAD) * arms,
            proprio_dim=PROPRIO_PER_ARM * arms,
        )
        system = System(config)
        weights = _noisy(system, self.seed)
        policy = trained_policy(
            system.sample_actions,
            action_normaliser=_affine(np.tile(CENTRE, arms), np.tile(SPREAD, arms)),
            proprio_normaliser=_affine(*np.array([[0.0], [1.0]], np.float32)),
            needs=Needs(
                cameras=self.cameras,
                history=config.history,
                image_size=config.image_size,
                proprio=config.proprio_dim,
                text=config.text_length,
            ),
            chunk=config.chunk,
            replan=config.chunk // 2,
            settings=f"{config.solver} {config.solver_steps}",
            name="untrained",
        )
        return policy, weights

    def blind(self, policy: Policy) -> tuple[Policy, Params]:
        """Random actions of the same size and rhythm, which need no pictures."""
        arms = len(self.env("c").robot.arms)
        low, high = (np.tile(CENTRE + sign * SPREAD, arms) for sign in (-1, 1))
        return random_policy(low, high, chunk=policy.chunk, replan=policy.replan)


def _noisy(system: System, seed: int) -> Params:
    """Fresh weights with noise on each, so that no zero start hides a way from pixels on."""
    leaves, structure = jax.tree.flatten(nn.unbox(once_jit(system.init)(jax.random.key(seed))))
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 1), len(leaves))
    noisy = [
        leaf + NOISE * jax.random.normal(key, leaf.shape)
        for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, noisy)


def _affine(shift: np.ndarray, inverse: np.ndarray) -> Normaliser:
    return Normaliser(
        shift=shift, scale=1 / inverse, inverse=inverse, mask=np.ones(shift.shape, bool)
    )
