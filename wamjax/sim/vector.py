"""The worlds as a `gymnasium.vector.VectorEnv`, for policies and trainers from outside.

The same variants are the same worlds as in training and evaluation, so that a policy that knows
nothing of JAX plays a manifest. Reset and step are one compiled program each. An episode ends with
`terminated` at success or when the physics diverged, with `truncated` at the task's horizon; the
next call of `step` ignores that world's action and starts its next episode (next-step autoreset).

    env = TabletopVectorEnv("reach", 16)
    observation, info = env.reset(seed=0)                       # clean worlds 0 .. 15
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.core.runtime import program_jit
from wamjax.core.typing import Array
from wamjax.sim import scene
from wamjax.sim.control import LARGEST_TURN, LONGEST_STEP, ActionFrame
from wamjax.sim.env import PROPRIO_PER_ARM, TabletopEnv
from wamjax.sim.robots.record import Robot
from wamjax.sim.simulators import State
from wamjax.sim.stepping import Physics
from wamjax.sim.tasks.record import Task
from wamjax.sim.variants import Variant, clean_variant

try:
    from gymnasium import spaces
    from gymnasium.utils import seeding
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError as error:
    raise UserError(
        "gymnasium is not installed; it comes with the extra `gym`: pip install 'wamjax[gym]'."
    ) from error

MEASURED = ("success", "distance", "diverged")
LARGEST_SEED = np.iinfo(np.int32).max


class TabletopVectorEnv(VectorEnv):
    """Many worlds of one task; observations are a dict of frames, proprio and instruction.

    `frames` uint8 [V, H, W, 3] per world, `proprio` float32 (see `env`), `instruction` uint8 [X],
    UTF-8 padded with zeros. `info` has `success` (bool), `distance` (m) and `diverged` (bool) of
    each world, and `variant`, a dict of int32 arrays.

    Args:
        task: by name, or a record.
        num_envs: worlds.
        seed: of the stream that draws worlds when `reset` is not told which; None is random.
        physics: "mjx", "c" or "auto", see `TabletopEnv`.
        image_size: pixels.
        cameras: which ones, in that order; by default all.
        action: what the numbers of an action mean.
        render_mode: None or "rgb_array", a picture per world from the first camera.

    Raises:
        UserError: the task, a camera, the physics or the action frame does not exist.
    """

    def __init__(
        self,
        task: str | Task = "reach",
        num_envs: int = 1,
        *,
        seed: int | None = None,
        physics: Physics = "auto",
        image_size: int = 48,
        cameras: tuple[str, ...] | None = None,
        action: ActionFrame = "ee_delta",
        render_mode: str | None = None,
    ):
        if num_envs < 1:
            raise UserError(f"there must be at least one world, not {num_envs}.")
        if render_mode not in (None, "rgb_array"):
            raise UserError(f"render_mode {render_mode!r} does not exist; use 'rgb_array' or None.")
        self.env = TabletopEnv(
            task, physics=physics, image_size=image_size, cameras=cameras, action=action
        )
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": int(scene.CONTROL_HZ),
            "autoreset_mode": AutoresetMode.NEXT_STEP,
        }
        self.num_envs, self.render_mode = num_envs, render_mode
        picture = (len(self.env.cameras), image_size, image_size, 3)
        proprio = PROPRIO_PER_ARM * len(self.env.robot.arms)
        self.single_observation_space = spaces.Dict(
            {
                "frames": spaces.Box(0, 255, picture, np.uint8),
                "proprio": spaces.Box(-np.inf, np.inf, (proprio,), np.float32),
                "instruction": spaces.Box(0, 255, (self.env.text_length,), np.uint8),
            }
        )
        low, high = action_bounds(self.env.robot, action)
        self.single_action_space = spaces.Box(low, high, dtype=np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._np_random, self._np_random_seed = seeding.np_random(seed)
        self._variants: Variant | None = None
        self._fixed = False
        self._state: State | None = None
        self._over = np.zeros(num_envs, bool)
        self._ticks = np.zeros(num_envs, np.int32)
        self._begin = program_jit(self._reset_all)
        self._advance = program_jit(self._step_all)
        self._expert = program_jit(jax.vmap(self.env.expert))
        self._picture = program_jit(
            jax.vmap(lambda state: self.env.render(state, self.env.cameras[0]))
        )

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Starts all worlds.

        Args:
            seed: of the first world, the others follow; or one per world; None draws them.
            options: "variants": a `Variant` of int32 [num_envs] says which worlds instead, and a
                world that is over starts the same variant again.

        Raises:
            UserError: another option, another number of seeds or variants, or a seed that is none.
        """
        chosen = dict(options or {})
        variants = chosen.pop("variants", None)
        if chosen:
            raise UserError(f"reset has no option {sorted(chosen)[0]!r}; it has variants.")
        self._fixed = variants is not None
        if seed is not None:
            first = int(self._seeds(seed)[0])
            self._np_random, self._np_random_seed = seeding.np_random(first)
        if variants is None:
            seeds = self._drawn() if seed is None else self._seeds(seed)
            variants = clean_variant(jnp.asarray(seeds))
        variants = jax.tree.map(lambda leaf: np.asarray(leaf, np.int32), variants)
        shapes = {np.shape(leaf) for leaf in jax.tree.leaves(variants)}
        if shapes != {(self.num_envs,)}:
            raise UserError(f"{self.num_envs} worlds need as many variants, got {sorted(shapes)}.")
        self._variants = variants
        self._over[:] = False
        self._ticks[:] = 0
        self._state, seen, metrics = self._begin(variants)
        return self._observation(seen), self._info(metrics)

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control tick of all worlds; those that were over start anew instead.

        Raises:
            UserError: before the first reset, or actions of another shape.
        """
        if self._state is None or self._variants is None:
            raise UserError("call reset before step.")
        actions = np.asarray(actions, np.float32)
        if actions.shape != self.action_space.shape:
            raise UserError(f"actions need shape {self.action_space.shape}, not {actions.shape}.")
        fresh = self._over.copy()
        if fresh.any() and not self._fixed:
            following = clean_variant(jnp.asarray(self._drawn()))
            self._variants = jax.tree.map(
                lambda new, old: np.where(fresh, np.asarray(new, np.int32), old),
                following,
                self._variants,
            )
        out = self._advance(self._state, actions, self._variants, fresh)
        self._state, seen, metrics, reward = out
        self._ticks = np.where(fresh, 0, self._ticks + 1)
        info = self._info(metrics)
        terminated = (info["success"] | info["diverged"]) & ~fresh
        truncated = (self._ticks >= self.env.horizon) & ~terminated
        self._over = terminated | truncated
        reward = np.where(fresh, 0.0, np.asarray(reward, np.float64))
        return self._observation(seen), reward, terminated, truncated, info

    def expert(self) -> np.ndarray:
        """What the scripted expert does now in each world, float32 [num_envs, A]."""
        return np.asarray(self._expert(self._state))

    def render(self) -> tuple[np.ndarray, ...] | None:
        """One uint8 [H, W, 3] per world."""
        if self.render_mode is None or self._state is None:
            return None
        return tuple(np.asarray(self._picture(self._state)))

    def _drawn(self) -> np.ndarray:
        return self.np_random.integers(0, LARGEST_SEED, self.num_envs).astype(np.int32)

    def _seeds(self, seed: int | Sequence[int | None]) -> np.ndarray:
        if isinstance(seed, (int, np.integer)):
            seeds = [int(seed) + index for index in range(self.num_envs)]
        else:
            seeds = [0 if one is None else int(one) for one in seed]
        if len(seeds) != self.num_envs or min(seeds) < 0 or max(seeds) > LARGEST_SEED:
            raise UserError(f"{self.num_envs} worlds need as many seeds in 0..{LARGEST_SEED}.")
        return np.array(seeds, np.int32)

    def _reset_all(self, variants: Variant) -> tuple[State, Observation, dict[str, Array]]:
        state = jax.vmap(self.env.reset_variant)(variants)
        return state, jax.vmap(self.env.observe)(state), state.metrics

    def _step_all(
        self, state: State, actions: Array, variants: Variant, fresh: Array
    ) -> tuple[State, Observation, dict[str, Array], Array]:
        state = jax.vmap(self.env.step)(state, actions)
        reward = state.reward

        def begun() -> State:
            first = jax.vmap(self.env.reset_variant)(variants)
            return jax.tree.map(
                lambda new, old: jnp.where(fresh.reshape(-1, *[1] * (old.ndim - 1)), new, old),
                first,
                state,
            )

        state = jax.lax.cond(jnp.any(fresh), begun, lambda: state)
        return state, jax.vmap(self.env.observe)(state), state.metrics, reward

    def _observation(self, seen: Observation) -> dict[str, np.ndarray]:
        return {
            "frames": np.array(seen.frames[:, :, 0]),
            "proprio": np.array(seen.proprio),
            "instruction": np.array(seen.text),
        }

    def _info(self, metrics: dict[str, Array]) -> dict[str, Any]:
        every = np.ones(self.num_envs, bool)
        info: dict[str, Any] = {
            "success": np.asarray(metrics["success"]) > 0.5,
            "distance": np.array(metrics["distance"]),
            "diverged": np.asarray(metrics["diverged"]) > 0.5,
        }
        info |= {f"_{name}": every.copy() for name in MEASURED}
        variants: Any = self._variants
        return info | {"variant": {name: leaf.copy() for name, leaf in vars(variants).items()}}


def action_bounds(robot: Robot, frame: ActionFrame) -> tuple[np.ndarray, np.ndarray]:
    """(lowest, highest) numbers of an action that the controller does not cut, float32 [A]."""
    low, high = [], []
    for arm in robot.arms:
        match frame:
            case "ee_delta":
                reach = np.array([LONGEST_STEP] * 3 + [LARGEST_TURN] * 3)
                ends = (-reach, reach)
            case "ee_absolute":
                turn = np.full(3, np.pi)
                ends = tuple(
                    np.concatenate([corner, sign * turn])
                    for corner, sign in zip(robot.workspace, (-1, 1), strict=True)
                )
            case "joint_delta":
                ends = (-arm.speed / scene.CONTROL_HZ, arm.speed / scene.CONTROL_HZ)
            case "joint_absolute":
                ends = (arm.lower, arm.upper)
        low.append(np.append(ends[0], 0.0))
        high.append(np.append(ends[1], 1.0))
    return np.concatenate(low).astype(np.float32), np.concatenate(high).astype(np.float32)
