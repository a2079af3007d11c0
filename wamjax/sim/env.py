"""The tabletop as a brax environment: physics, success and proprio; pictures only when asked for.

Actions are those of `control` (by default Open X-Embodiment's end-effector deltas, float32 [7] per
arm). Proprio is float32 [7] per arm: x y z of the tip (m, world), roll pitch yaw of the hand
relative to pointing straight down (rad), gripper opening 0..1. Control runs at 10 Hz.
"""

import dataclasses
import os
import pathlib
from typing import Literal, cast, get_args

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.core.typing import Array, Float, Key, UInt8, typed
from wamjax.sim import drawing, physics, rotations, scene
from wamjax.sim.control import DOWN, ActionFrame, action_size, find_frame
from wamjax.sim.dynamics import LONGEST_DELAY
from wamjax.sim.instructions import TEXT_LENGTH
from wamjax.sim.perturbations import randomised_look
from wamjax.sim.physics import Body
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.setting import Setting, build_setting, standing_on
from wamjax.sim.simulators import Env, State
from wamjax.sim.skins import read_skin
from wamjax.sim.stepping import Physics, Resolved, resolve
from wamjax.sim.tasks.record import Situation, Task, misread
from wamjax.sim.tasks.registry import find_task
from wamjax.sim.variants import Variant, base_key, clean_variant

Looks = Literal["clean", "randomised"]
LOOKS: tuple[Looks, ...] = get_args(Looks)
PROPRIO_PER_ARM = 7
NO_MODE = -1


@flax.struct.dataclass
class World:
    """What changes during an episode.

    Attributes:
        body: the physics.
        tick: int32 [], control ticks since reset.
        held: int32 [], ticks in a row that the goal has been held.
        succeeded: bool [], once true always true.
        failed: bool [], the physics diverged; the body stays at its last good state.
        mode: int32 [], how the task is being solved, an index into the task's modes, or NO_MODE.
        held_other: int32 [], ticks in a row that the goal of another instruction has been held.
        other: bool [], once it was held long enough always true.
        pending: float32 [LONGEST_DELAY, A], the last actions, the newest first.
    """

    body: Body
    tick: Array
    held: Array
    succeeded: Array
    failed: Array
    mode: Array
    held_other: Array
    other: Array
    pending: Array


class TabletopEnv(Env):
    """One task over its scene; works under brax's wrappers and under `jax.vmap`.

    `step` ends an episode (done = 1) at success and when the physics diverged; the time limit is
    the caller's (`env.horizon` control ticks, or brax's EpisodeWrapper). Compile the outermost
    program with `core.runtime.program_jit`.

    Args:
        task: by name, or a record.
        image_size: pixels of the square pictures of `observe`.
        cameras: which cameras `observe` draws, in that order; by default all of the robot's.
        physics: "mjx", "c" (C MuJoCo on host threads) or "auto", the faster one for the device.
        action: what the numbers of an action mean.
        text_length: bytes of the padded instruction.
        props: whether the pool of distractors is in the scene; without it drawing is faster.
        looks: "clean", or "randomised" for training data: every world has a camera, a light and a
            background of its own, from ranges that no evaluation has.
        meshes: a copy of mujoco_menagerie, whose triangle meshes are then drawn for the robot's
            links (see `skins`); by default the robot is drawn from primitives. Nothing but the
            pictures depends on it.

    Raises:
        UserError: the task, a camera, the physics, the action frame or the meshes do not exist.
    """

    def __init__(
        self,
        task: str | Task = "reach",
        *,
        image_size: int = 48,
        cameras: tuple[str, ...] | None = None,
        physics: Physics = "mjx",
        action: ActionFrame = "ee_delta",
        text_length: int = TEXT_LENGTH,
        looks: Looks = "clean",
        props: bool = True,
        meshes: str | os.PathLike[str] | None = None,
    ):
        found = find_task(task) if isinstance(task, str) else task
        bare = dataclasses.replace(found, scene=dataclasses.replace(found.scene, props=0))
        self.task = found if props else bare
        self.robot = find_robot(self.task.scene.robot)
        self.image_size = image_size
        self.cameras = self.robot.cameras if cameras is None else cameras
        self.physics: Resolved = resolve(physics)
        find_frame(action)
        self.action: ActionFrame = action
        self.text_length = text_length
        self.looks: Looks = looks
        self.skin = (
            None if meshes is None else read_skin(pathlib.Path(meshes), self.task.scene.robot)
        )
        for name in self.cameras:
            if name not in self.robot.cameras:
                raise UserError(
                    f"task {self.task.name} has no camera {name!r}; it has "
                    f"{', '.join(self.robot.cameras)}."
                )

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
        spec = self.task.scene
        arms = sum(len(arm.joints) + PROPRIO_PER_ARM + 3 for arm in self.robot.arms)
        things = 6 * len(spec.blocks) + 2 * len(spec.marks) + 3 * len(spec.fixtures)
        return arms + things + len(scene.places(spec).slides) + 3

    @property
    def action_size(self) -> int:
        return action_size(self.robot, self.action)

    @property
    def backend(self) -> str:
        return "mjx" if self.physics == "mjx" else "mujoco"

    def reset(self, rng: Key) -> State:
        """A clean world whose seed is drawn from `rng`."""
        seed = jax.random.randint(rng, (), 0, np.iinfo(np.int32).max)
        return self.reset_variant(clean_variant(seed))

    def reset_variant(self, variant: Variant) -> State:
        """The world of one variant (int32 scalars, traced); the same in any batch."""
        setting = build_setting(self.task, jax.tree.map(jnp.int32, variant), self.text_length)
        if self.looks == "randomised":
            key = jax.random.fold_in(base_key(setting.variant), 3)
            look = standing_on(randomised_look(key, self.robot.view), setting.ground)
            setting = setting.replace(look=look)  # pyright: ignore[reportAttributeAccessIssue]
        spec = self.task.scene
        body = physics.start(spec, setting.joints, setting.opening, setting.layout.blocks)
        # Zeros that depend on the world: a carry that is batched from the start is traced once.
        zero = jnp.asarray(setting.variant.seed) * 0
        no = zero > 0
        world = World(
            body=body,
            tick=zero,
            held=zero,
            succeeded=no,
            failed=no,
            mode=zero + NO_MODE,
            held_other=zero,
            other=no,
            pending=jnp.tile(self._stay(body, setting.opening), (LONGEST_DELAY, 1)),
        )
        return self._state(world, setting, {"setting": setting})

    @typed
    def step(self, state: State, action: Float[Array, "A"]) -> State:
        """One control tick; actions that are not finite count as a diverged world."""
        world, setting, spec = _world(state), _setting(state), self.task.scene
        finite = jnp.all(jnp.isfinite(action))
        pending = jnp.concatenate([jnp.where(finite, action, 0.0)[None], world.pending])
        body = physics.advance(
            spec,
            self.physics,
            self.action,
            world.body,
            pending[setting.dynamics.latency],
            self._fixtures(setting),
            setting.dynamics,
        )
        return self.judged(state, body, finite, pending[:-1])

    def judged(self, state: State, body: Body, finite: Array, pending: Array) -> State:
        """The state one tick later, given what physics made of the world.

        Args:
            state: before the tick.
            body: after it.
            finite: bool [], whether the action was.
            pending: float32 [LONGEST_DELAY, A], the last actions, the newest first.
        """
        world, setting, spec = _world(state), _setting(state), self.task.scene
        sound = finite & physics.is_sound(spec, body) & ~world.failed
        body = jax.tree.map(lambda new, old: jnp.where(sound, new, old), body, world.body)
        situation = self._situation(body, setting)
        held = jnp.where(self.task.solved(situation) & sound, world.held + 1, 0)
        others = misread(situation, len(self.task.wordings))
        mistaken = jnp.any(jnp.array([self.task.solved(other) for other in others]))
        held_other = jnp.where(mistaken & sound, world.held_other + 1, 0)
        world = World(
            body=body,
            tick=world.tick + 1,
            held=held,
            succeeded=world.succeeded | (held >= self.task.hold),
            failed=~sound,
            mode=jnp.where(world.mode == NO_MODE, self.task.mode(situation), world.mode),
            held_other=held_other,
            other=world.other | (held_other >= self.task.hold),
            pending=pending,
        )
        return self._state(world, setting, state.info, state.metrics)

    def situation(self, state: State) -> Situation:
        """The true state, for experts."""
        return self._situation(_world(state).body, _setting(state))

    def tips(self, state: State) -> Array:
        """Where the tools' points are, one arm after the other, float32 [3 R], m."""
        return self.situation(state).tips.position.reshape(-1)

    def expert(self, state: State) -> Array:
        """What the scripted expert does, as an action in this environment's frame."""
        return self.describe(state, self.task.expert(self.situation(state)))

    def describe(self, state: State, action: Array) -> Array:
        """The action in this environment's frame that does what the ee_delta `action` does."""
        if self.action == "ee_delta":
            return action
        return physics.describe(self.task.scene, self.action, _world(state).body, action)

    def proprio(self, state: State) -> Array:
        """float32 [7 per arm], see the module; with noise where the variant says so."""
        setting, tick = _setting(state), _world(state).tick
        true = _proprio(self.situation(state))
        key = jax.random.fold_in(jax.random.PRNGKey(setting.variant.seed), 2)
        noise = jax.random.normal(jax.random.fold_in(key, tick), true.shape)
        return true + setting.dynamics.proprio_noise * noise

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
        self, state: State, camera: str = "primary", size: int = 192
    ) -> UInt8[Array, "H W 3"]:
        """A picture of one world as that camera sees it, with the variant's noise."""
        return self._draw(state, (camera,), size)[0]

    def _draw(self, state: State, cameras: tuple[str, ...], size: int) -> Array:
        world, setting = _world(state), _setting(state)
        return drawing.frames(
            self.task.scene, world.body.position, setting, world.tick, cameras, size, self.skin
        )

    def _situation(self, body: Body, setting: Setting) -> Situation:
        spec, position = self.task.scene, body.position
        return Situation(
            tips=physics.tips(spec, position),
            openings=physics.openings(spec, position),
            blocks=physics.blocks(spec, position),
            marks=setting.layout.marks,
            fixtures=setting.layout.fixtures,
            slides=physics.slides(spec, position),
            option=setting.option,
            taste=setting.taste,
        )

    def _stay(self, body: Body, opening: Array) -> Array:
        """The action that changes nothing, float32 [A]."""
        still = jnp.append(jnp.zeros(6), opening)
        action = jnp.tile(still, len(self.robot.arms))
        if self.action == "ee_delta":
            return action
        return physics.describe(self.task.scene, self.action, body, action)

    def _fixtures(self, setting: Setting) -> Array:
        """Poses of the fixtures, float32 [F, 7]."""
        heights = [drawing.FIXTURES[kind].height for kind in self.task.scene.fixtures]
        placed = setting.layout.fixtures
        height = jnp.array(heights, jnp.float32).reshape(-1, 1)
        return jnp.concatenate([placed[:, :2], height, rotations.about_z(placed[:, 2])], axis=1)

    def _state(
        self, world: World, setting: Setting, info: dict, metrics: dict | None = None
    ) -> State:
        situation = self._situation(world.body, setting)
        distance = self.task.distance(situation)
        success = world.succeeded.astype(jnp.float32)
        failed = world.failed.astype(jnp.float32)
        measured = {
            "success": success,
            "distance": distance,
            "diverged": failed,
            "mode": world.mode.astype(jnp.float32),
            "other": world.other.astype(jnp.float32),
        }
        return State(
            pipeline_state=world,  # pyright: ignore[reportArgumentType]
            obs=self._vector(world.body, situation),
            reward=success - jnp.tanh(5.0 * distance) - failed,
            done=jnp.maximum(success, failed),
            metrics=measured if metrics is None else metrics | measured,
            info=info,
        )

    def _vector(self, body: Body, situation: Situation) -> Array:
        """Joints, proprio, tips to the first thing, blocks (place, way to the first tip), marks,
        fixtures, drawers, option, tastes."""
        spec = self.task.scene
        blocks, tips = situation.blocks.position, situation.tips.position
        goal = jnp.concatenate([blocks, jnp.pad(situation.marks, ((0, 0), (0, 1)))])
        goal = jnp.concatenate([goal, jnp.pad(situation.fixtures[:, :2], ((0, 0), (0, 1)))])[0]
        parts = [
            physics.measured_joints(spec, body.position),
            _proprio(situation),
            goal - tips,
            blocks,
            blocks - tips[0],
            situation.marks,
            situation.fixtures,
            situation.slides,
            situation.option.astype(jnp.float32),
            situation.taste,
        ]
        return jnp.concatenate([jnp.ravel(part) for part in parts])


def _world(state: State) -> World:
    return cast(World, state.pipeline_state)


def _setting(state: State) -> Setting:
    return state.info["setting"]


@typed
def _proprio(situation: Situation) -> Float[Array, "P"]:
    down = jnp.broadcast_to(jnp.array(DOWN), situation.tips.turn.shape)
    turn = rotations.multiply(situation.tips.turn, rotations.conjugate(down))
    angles = rotations.to_roll_pitch_yaw(turn)
    opening = situation.openings[:, None]
    return jnp.concatenate([situation.tips.position, angles, opening], axis=1).reshape(-1)
