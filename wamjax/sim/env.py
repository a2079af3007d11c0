"""The tabletop as a brax environment: physics, success and proprio; pictures only when asked for.

Action float32 [7]: dx dy dz (m) and a rotation vector (rad) in the base frame, per control tick,
and the gripper, 1 open and 0 closed (Open X-Embodiment). Proprio float32 [7]: x y z of the tip
(m, base frame), roll pitch yaw of the hand relative to pointing straight down (rad), gripper
opening 0..1. Control runs at 10 Hz.
"""

from typing import cast

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.records import Observation
from wamjax.core.typing import Array, Float, Key, UInt8, typed
from wamjax.sim import drawing, kinematics, physics, rotations, scene
from wamjax.sim.physics import Body
from wamjax.sim.setting import Setting, build_setting
from wamjax.sim.simulators import Env, State
from wamjax.sim.tasks.record import DOWN, Situation, Task
from wamjax.sim.tasks.registry import find_task
from wamjax.sim.variants import Variant, clean_variant

ACTION_SIZE = 7
PROPRIO_SIZE = 7
OBSERVATION_SIZE = 26


@flax.struct.dataclass
class World:
    """What changes during an episode.

    Attributes:
        body: the physics.
        tick: int32 [], control ticks since reset.
        held: int32 [], ticks in a row that the goal has been held.
        succeeded: bool [], once true always true.
        failed: bool [], the physics diverged; the body stays at its last good state.
    """

    body: Body
    tick: Array
    held: Array
    succeeded: Array
    failed: Array


class TabletopEnv(Env):
    """One task over one scene; works under brax's wrappers and under `jax.vmap`.

    `step` ends an episode (done = 1) at success and when the physics diverged; the time limit is
    the caller's (`env.horizon` control ticks, or brax's EpisodeWrapper). Compile the outermost
    program with `core.runtime.physics_jit`.

    Args:
        task: "reach" or "push".
        image_size: pixels of the square pictures of `observe`.
        cameras: which cameras `observe` draws, in that order.

    Raises:
        UserError: the task does not exist.
    """

    def __init__(
        self,
        task: str | Task = "reach",
        *,
        image_size: int = 48,
        cameras: tuple[drawing.CameraName, ...] = scene.CAMERAS,
    ):
        self.task = find_task(task) if isinstance(task, str) else task
        self.image_size = image_size
        self.cameras = cameras

    @property
    def horizon(self) -> int:
        """Control ticks of an episode."""
        return self.task.horizon

    @property
    def control_hz(self) -> float:
        """Control ticks per second."""
        return scene.CONTROL_HZ

    @property
    def observation_size(self) -> int:
        return OBSERVATION_SIZE

    @property
    def action_size(self) -> int:
        return ACTION_SIZE

    @property
    def backend(self) -> str:
        return "mjx"

    def reset(self, rng: Key) -> State:
        """A clean world whose seed is drawn from `rng`."""
        seed = jax.random.randint(rng, (), 0, np.iinfo(np.int32).max)
        return self.reset_variant(clean_variant(seed))

    def reset_variant(self, variant: Variant) -> State:
        """The world of one variant (int32 scalars, traced); the same in any batch."""
        setting = build_setting(self.task, jax.tree.map(jnp.int32, variant))
        body = physics.start(setting.joints, setting.layout.cubes)
        # Zeros that depend on the world: a carry that is batched from the start is traced once.
        zero = jnp.asarray(setting.variant.seed) * 0
        no = zero > 0
        world = World(body=body, tick=zero, held=zero, succeeded=no, failed=no)
        return self._state(world, setting, {"setting": setting})

    @typed
    def step(self, state: State, action: Float[Array, "7"]) -> State:
        """One control tick; actions that are not finite count as a diverged world."""
        world, setting = _world(state), _setting(state)
        finite = jnp.all(jnp.isfinite(action))
        body = physics.advance(world.body, jnp.where(finite, action, 0.0))
        sound = finite & physics.is_sound(body) & ~world.failed
        body = jax.tree.map(lambda new, old: jnp.where(sound, new, old), body, world.body)
        near = self.task.distance(_situation(body, setting)) < self.task.radius
        held = jnp.where(near & sound, world.held + 1, 0)
        succeeded = world.succeeded | (held >= self.task.hold)
        world = World(body=body, tick=world.tick + 1, held=held, succeeded=succeeded, failed=~sound)
        return self._state(world, setting, state.info, state.metrics)

    def situation(self, state: State) -> Situation:
        """The true state, for experts."""
        return _situation(_world(state).body, _setting(state))

    def proprio(self, state: State) -> Array:
        """float32 [7], see the module."""
        return _proprio(self.situation(state))

    def observe(self, state: State) -> Observation:
        """What a policy sees of one world: frames [V, 1, H, W, 3], proprio and instruction."""
        setting = _setting(state)
        frames = self._draw(state, self.cameras, self.image_size)
        return Observation(
            frames=frames[:, None],
            camera_mask=jnp.ones(len(self.cameras), bool),
            proprio=self.proprio(state),
            text=setting.text,
        )

    def render(
        self, state: State, camera: drawing.CameraName = "primary", size: int = 192
    ) -> UInt8[Array, "H W 3"]:
        """A picture of one world as that camera sees it, with the variant's noise."""
        return self._draw(state, (camera,), size)[0]

    def _draw(self, state: State, cameras: tuple[drawing.CameraName, ...], size: int) -> Array:
        world, setting = _world(state), _setting(state)
        return drawing.frames(
            world.body.position, setting, world.tick, self.task.spot, cameras, size
        )

    def _state(
        self, world: World, setting: Setting, info: dict, metrics: dict | None = None
    ) -> State:
        situation = _situation(world.body, setting)
        distance = self.task.distance(situation)
        success = world.succeeded.astype(jnp.float32)
        failed = world.failed.astype(jnp.float32)
        measured = {"success": success, "distance": distance, "diverged": failed}
        return State(
            pipeline_state=world,  # pyright: ignore[reportArgumentType]
            obs=_state_vector(world.body.position, situation),
            reward=success - jnp.tanh(5.0 * distance) - failed,
            done=jnp.maximum(success, failed),
            metrics=measured if metrics is None else metrics | measured,
            info=info,
        )


def _world(state: State) -> World:
    return cast(World, state.pipeline_state)


def _setting(state: State) -> Setting:
    return state.info["setting"]


def _situation(body: Body, setting: Setting) -> Situation:
    return Situation(
        tip=kinematics.tip_pose(physics.measured_joints(body.position)),
        opening=physics.opening(body.position),
        cubes=physics.cube_centres(body.position),
        spot=setting.layout.spot,
    )


@typed
def _proprio(situation: Situation) -> Float[Array, "7"]:
    tip = situation.tip
    turn = rotations.multiply(tip.turn, rotations.conjugate(jnp.array(DOWN)))
    angles = rotations.to_roll_pitch_yaw(turn)
    return jnp.concatenate([tip.position, angles, situation.opening[None]])


def _state_vector(position: Array, situation: Situation) -> Array:
    """Joint angles 7, proprio 7, cubes 6, tip to named cube 3, cube to spot 2, held 1."""
    named = situation.cubes[0]
    return jnp.concatenate(
        [
            physics.measured_joints(position),
            _proprio(situation),
            situation.cubes.reshape(6),
            named - situation.tip.position,
            situation.spot - named[:2],
            situation.opening[None],
        ]
    )
