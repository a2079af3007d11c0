"""Episodes in the target domain: worlds in, outcomes out, the policy asked from outside.

    every `replan` ticks:  actions = policy(observations of all worlds)
    every tick:            command = control law(action, measured joints)      one jitted program
                           readings = C MuJoCo on the process pool (pool.py)
                           success, distance, mode = the task's own predicates on the readings

Same variant, same world: layout, palette, option and instruction come from `sim.setting`, so that
episodes here and in training's simulator are compared in pairs. Robot kinematics, control law,
tasks and predicates are shared; physics, cameras and pictures are not (`model.DIFFERENCES`).
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.core.runtime import program_jit
from wamjax.core.typing import AnyArray, Array
from wamjax.sim import drawing, instructions, physics, rotations, scene
from wamjax.sim.axes import AXES
from wamjax.sim.control import ActionFrame, Command
from wamjax.sim.env import TabletopEnv, World
from wamjax.sim.physics import Body
from wamjax.sim.setting import Setting
from wamjax.sim.simulators import State
from wamjax.sim.target.model import REALITY, Reality
from wamjax.sim.target.pool import Pool
from wamjax.sim.target.world import Start
from wamjax.sim.tasks.record import Task
from wamjax.sim.variants import Variant, clean_variant

Policy = Callable[[Observation], AnyArray]
"""Observations of E worlds -> actions float32 [E, A], or chunks [E, K, A]."""
NEVER = -1
HONOURED = ("camera", "robot", "language", "layout")
"""Perturbation axes that the target domain has; its light, surfaces and noise are its own."""


@flax.struct.dataclass
class Played:
    """What became of E episodes of T ticks; the first seven are those of the evaluation.

    Attributes:
        success: bool [E], solved at some tick, before any divergence.
        steps_to_success: int32 [E], ticks until first solved (1 = after the first), or NEVER.
        distance: float32 [E], m to the goal after the last tick before any divergence.
        closest: float32 [E], m, the smallest distance on the way.
        diverged: bool [E], the physics became non-finite, or an action was.
        mode: int32 [E], index into the task's modes, or -1.
        other: bool [E], what another instruction asks for was done, before any divergence.
        actions: float32 [E, T, A].
        positions: float32 [E, T + 1, q], MuJoCo's qpos.
        frames: uint8 [E, T, V, H, W, 3] before each tick when recorded, else None.
    """

    success: np.ndarray
    steps_to_success: np.ndarray
    distance: np.ndarray
    closest: np.ndarray
    diverged: np.ndarray
    mode: np.ndarray
    other: np.ndarray
    actions: np.ndarray
    positions: np.ndarray
    frames: np.ndarray | None


class Target:
    """One task in the target domain; keeps its workers and programs between batches.

    Args:
        task: by name, or a record.
        processes: workers; by default one per core.
        image_size: pixels of the square pictures.
        cameras: which cameras policies see, in that order; by default all of the robot's.
        action: what the numbers of an action mean.
        text_length: bytes of the padded instruction.
        reality: the target's constants.

    Raises:
        UserError: the task, a camera or the action frame does not exist.
    """

    def __init__(
        self,
        task: str | Task,
        *,
        processes: int | None = None,
        image_size: int = 48,
        cameras: tuple[str, ...] | None = None,
        action: ActionFrame = "ee_delta",
        text_length: int = instructions.TEXT_LENGTH,
        reality: Reality = REALITY,
    ):
        self.env = TabletopEnv(
            task, image_size=image_size, cameras=cameras, action=action, text_length=text_length
        )
        self.action: ActionFrame = action
        self._begin = program_jit(jax.vmap(self._reset))
        self._tell = program_jit(jax.vmap(self._command))
        self._expert = program_jit(jax.vmap(self.env.expert))
        self._judge = program_jit(jax.vmap(self._after))
        self._feel = program_jit(jax.vmap(self.env.proprio))
        self._pool = Pool(processes, reality)

    @property
    def horizon(self) -> int:
        """Control ticks of an episode."""
        return self.env.horizon

    def close(self) -> None:
        """Ends the workers."""
        self._pool.close()

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def play(
        self,
        variants: Variant | Sequence[int] | np.ndarray,
        policy: Policy | None = None,
        *,
        replan: int = 1,
        ticks: int | None = None,
        draw: bool | None = None,
        record: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Played:
        """Episodes of all worlds side by side.

        Args:
            variants: int32 [E] each, or seeds of clean worlds.
            policy: on the host; None is the scripted expert, which knows the true state.
            replan: how many actions of a chunk are executed before the policy is asked again.
            ticks: length; by default the task's horizon.
            draw: whether policies get pictures (blank ones otherwise); by default if there is a
                policy.
            record: whether the pictures before every tick are kept.
            progress: called with E after every tick.

        Raises:
            UserError: no worlds, an axis that the target domain does not have, actions of another
                shape, or pictures without OpenGL.
        """
        variants = _as_variants(variants)
        draw = (policy is not None) if draw is None else draw
        state, start = self._begin(variants)
        self._pool.open(self.env.task.scene, _starts(jax.device_get(start)))
        count, length = len(np.asarray(variants.seed)), self.horizon if ticks is None else ticks
        size, views = self.env.image_size, len(self.env.cameras)
        blank = np.zeros((count, views, size, size, 3), np.uint8)
        text = np.asarray(_setting(state).text)
        tally = _Tally(jax.device_get(state.metrics))
        chunk, actions, kept, path = None, [], [], [np.asarray(_world(state).body.position)]
        for tick in range(length):
            asked = policy is not None and tick % replan == 0
            frames = blank
            if record or (draw and asked):
                frames = self._pool.draw(self.env.cameras, size)
            if record:
                kept.append(frames)
            if policy is None:
                action = np.asarray(self._expert(state))
            else:
                if asked:
                    seen = Observation(
                        frames=(frames if draw else blank)[:, :, None],
                        camera_mask=np.full((count, views), draw),
                        proprio=np.asarray(self._feel(state)),
                        text=text,
                    )
                    chunk = self._chunk(policy(seen), count, replan)
                action = cast(np.ndarray, chunk)[:, tick % replan]
            command, slides, finite = self._tell(state, action)
            told = (_world(state).body.command.joints, command.joints, slides)
            readings = self._pool.tick(*(np.asarray(part, np.float64) for part in told))
            state = self._judge(state, command, np.float32(readings), finite)
            tally.add(jax.device_get(state.metrics), tick + 1)
            actions.append(action)
            path.append(np.asarray(_world(state).body.position))
            if progress is not None:
                progress(count)
        return Played(
            **tally.outcome(),
            actions=np.stack(actions, axis=1),
            positions=np.stack(path, axis=1),
            frames=np.stack(kept, axis=1) if record else None,
        )

    def _chunk(self, answer: AnyArray, count: int, replan: int) -> np.ndarray:
        actions = np.asarray(answer, np.float32)
        if actions.ndim == 2:
            actions = actions[:, None]
        if (
            actions.ndim != 3
            or actions.shape[::2] != (count, self.env.action_size)
            or actions.shape[1] < replan
        ):
            raise UserError(
                f"the policy's actions have shape {np.shape(answer)}; {count} worlds of "
                f"{self.env.task.name} need [{count}, at least {replan}, {self.env.action_size}]."
            )
        return actions

    def _reset(self, variant: Variant) -> tuple[State, Start]:
        state = self.env.reset_variant(variant)
        setting, spec = _setting(state), self.env.task.scene
        placed, look = setting.layout.fixtures, setting.look
        heights = [drawing.FIXTURES[kind].height for kind in spec.fixtures]
        height = jnp.array(heights, jnp.float32).reshape(-1, 1)
        turns = rotations.about_z(placed[:, 2])
        _, numbers = scene.places(spec).tinted
        colours = jnp.array([rgb for _, rgb in instructions.COLOURS])
        # A tuple in the order of `Start`'s fields, which itself is no pytree.
        start = (
            _world(state).body.position,
            jnp.concatenate([placed[:, :2], height, turns], axis=1),
            setting.layout.marks,
            setting.props,
            setting.props_shown,
            colours[setting.palette[numbers]],
            (look.camera.position, look.camera.rotation),
            look.camera.fovy,
        )
        return state, cast(Start, start)

    def _command(self, state: State, action: Array) -> tuple[Command, Array, Array]:
        """(the next command, finger slides [R] in m, whether the action is finite)."""
        finite = jnp.all(jnp.isfinite(action))
        action = jnp.where(finite, action, 0.0)
        spec, body = self.env.task.scene, _world(state).body
        command, grips = physics.command_after(spec, self.action, body, action)
        slides = [physics.slide_of(arm, grips[i]) for i, arm in enumerate(self.env.robot.arms)]
        return command, jnp.stack(slides), finite

    def _after(self, state: State, command: Command, readings: Array, finite: Array) -> State:
        """What `TabletopEnv.step` makes of the new positions."""
        world = _world(state)
        body = Body(
            motion=world.body.motion.replace(position=readings),  # pyright: ignore
            command=command,
        )
        return self.env.judged(state, body, finite, world.pending)


def play(
    task: str | Task,
    variants: Variant | Sequence[int] | np.ndarray,
    policy: Policy | None = None,
    *,
    processes: int | None = None,
    image_size: int = 48,
    cameras: tuple[str, ...] | None = None,
    action: ActionFrame = "ee_delta",
    draw: bool | None = None,
    record: bool = False,
) -> Played:
    """One batch of worlds in the target domain; see `Target`, which keeps its workers."""
    with Target(
        task, processes=processes, image_size=image_size, cameras=cameras, action=action
    ) as target:
        return target.play(variants, policy, draw=draw, record=record)


class _Tally:
    """The outcome while the episodes run: success is latched, divergence ends the count."""

    def __init__(self, metrics: dict[str, np.ndarray]):
        self.diverged = metrics["diverged"] > 0.5
        self.success = np.zeros_like(self.diverged)
        self.steps = np.full(self.success.shape, NEVER, np.int32)
        self.distance = np.array(metrics["distance"], np.float32)
        self.closest = self.distance.copy()
        self.mode = np.asarray(metrics["mode"], np.int32)
        self.other = np.zeros_like(self.success)

    def add(self, metrics: dict[str, np.ndarray], step: int) -> None:
        self.diverged = self.diverged | (metrics["diverged"] > 0.5)
        counts = ~self.diverged
        first = counts & (metrics["success"] > 0.5) & ~self.success
        distance = np.asarray(metrics["distance"], np.float32)
        self.success = self.success | first
        self.steps = np.where(first, np.int32(step), self.steps)
        self.distance = np.where(counts, distance, self.distance)
        self.closest = np.where(counts, np.minimum(self.closest, distance), self.closest)
        self.mode = np.where(counts, np.asarray(metrics["mode"], np.int32), self.mode)
        self.other = self.other | (counts & (metrics["other"] > 0.5))

    def outcome(self) -> dict[str, np.ndarray]:
        return {
            "success": self.success,
            "steps_to_success": self.steps,
            "distance": self.distance,
            "closest": self.closest,
            "diverged": self.diverged,
            "mode": self.mode,
            "other": self.other,
        }


def _as_variants(variants: Variant | Sequence[int] | np.ndarray) -> Variant:
    """int32 [E] each.

    Raises:
        UserError: there are none, or some are of an axis that the target domain does not have.
    """
    given = variants
    if not isinstance(given, Variant):
        given = clean_variant(np.asarray(given, np.int32))  # pyright: ignore[reportArgumentType]
    worlds: Variant = jax.tree.map(lambda leaf: np.asarray(leaf, np.int32), given)
    if np.ndim(worlds.seed) != 1 or np.size(worlds.seed) == 0:
        raise UserError("the target domain plays a list of worlds; give at least one seed.")
    names = ("clean", *AXES)
    asked = {
        names[axis] if axis < len(names) else f"axis {axis}" for axis in np.unique(worlds.axis)
    }
    missing = sorted(asked - {"clean", *HONOURED})
    if missing:
        raise UserError(
            f"the target domain has no {missing[0]} axis; it plays clean worlds and the axes "
            f"{', '.join(HONOURED)}."
        )
    return worlds


def _starts(fields: Any) -> list[Start]:
    """One record per world from batched fields."""
    count = len(fields[0])
    names = [
        "position",
        "fixtures",
        "marks",
        "props",
        "props_shown",
        "tints",
        "camera",
        "fovy",
    ]
    return [
        Start(**dict(zip(names, jax.tree.map(lambda x, i=index: x[i], fields), strict=True)))
        for index in range(count)
    ]


def _world(state: State) -> World:
    return cast(World, state.pipeline_state)


def _setting(state: State) -> Setting:
    return state.info["setting"]
