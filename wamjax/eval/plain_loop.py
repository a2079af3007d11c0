"""The evaluation that a user would write otherwise: C MuJoCo, OpenGL world by world, NumPy between.

    every `replan` ticks:  for each world and camera: mujoco.Renderer -> pictures
                           policy(pictures) -> actions, one batch, jitted
    every tick:            control law, one batch, jitted -> ramp of controls, NumPy
                           C MuJoCo steps all worlds on all cores, in float64
                           success test, one batch, jitted

It plays the worlds of `bench_case.Case`, the same as the compiled program does. What could slow it
down without need is left out: physics run on the model without what is only drawn, the distractors
that clean worlds hide are not drawn, the shadow map is 1024 and there is no multisampling, and of
two ways to step all worlds (`mujoco.rollout`, and mj_step in a pool of threads) the faster one is
taken. OpenGL has to be chosen before MuJoCo is imported, so the loop lives in a process of its own.
"""

import contextlib
import copy
import dataclasses
import multiprocessing
import os
import statistics
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Literal, Protocol, assert_never

import jax
import jax.numpy as jnp
import mujoco
import mujoco.rollout
import numpy as np

from wamjax.core.records import Observation
from wamjax.core.runtime import enable_compile_cache, program_jit
from wamjax.core.typing import Array
from wamjax.eval.bench_case import Case
from wamjax.eval.rollout import plan_key, thinker
from wamjax.sim import instructions, physics, scene
from wamjax.sim.control import Command
from wamjax.sim.fixtures import FIXTURES
from wamjax.sim.perturbations import SURFACES
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.scene import SceneSpec
from wamjax.sim.setting import Setting
from wamjax.sim.stepping import CONTROL, Motion, threads

Stepping = Literal["mujoco.rollout", "mj_step in threads"]
PARTS = ("physics", "control", "drawing", "policy")
TRIAL_TICKS = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Play:
    """E episodes of S control ticks.

    Attributes:
        seconds: of each of PARTS, and of everything together ("all").
        success: bool [E].
        positions: float32 [E, S + 1, q], MuJoCo's qpos.
        actions: float32 [E, S, A], raw units.
        first, last: uint8 [E, V, H, W, 3], the pictures of the first plan, and those after the
            last tick (drawn outside the clock).
    """

    seconds: dict[str, float]
    success: np.ndarray
    positions: np.ndarray
    actions: np.ndarray
    first: np.ndarray
    last: np.ndarray


class Clock:
    """Seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self.begun = time.perf_counter()

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is inside to `name`."""
        begun = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - begun

    def stop(self) -> dict[str, float]:
        """Seconds of the parts and of all."""
        return self.seconds | {"all": time.perf_counter() - self.begun}


class Stepper(Protocol):
    """Steps E worlds: state float64 [E, 1 + q + v] under controls [E, SUBSTEPS, u]."""

    def __call__(self, state: np.ndarray, controls: np.ndarray) -> np.ndarray: ...


class RolloutStepper:
    """`mujoco.rollout`, a tick per call.

    Args:
        model: without what is only drawn.
        placed: float64 [E, F, 7], places and quaternions of the mocap bodies.
    """

    def __init__(self, model: mujoco.MjModel, placed: np.ndarray):
        self.model = model
        self.datas = [mujoco.MjData(model) for _ in range(threads())]
        self.pool = mujoco.rollout.Rollout(nthread=threads())
        self.spec = int(sum(int(part) for part in CONTROL[: 3 if placed.shape[1] else 1]))
        flat = [placed[..., :3].reshape(len(placed), -1), placed[..., 3:].reshape(len(placed), -1)]
        self.fixed = np.repeat(np.concatenate(flat, axis=1)[:, None], scene.SUBSTEPS, axis=1)

    def __call__(self, state: np.ndarray, controls: np.ndarray) -> np.ndarray:
        """The state a tick later."""
        told = np.concatenate([controls, self.fixed], axis=-1)
        states: Any = self.pool.rollout(
            self.model, self.datas, state, control=told, control_spec=self.spec
        )[0]
        return states[:, -1]


class ThreadStepper:
    """mj_step, each world with its own MjData, shared out over a pool of threads.

    Args:
        model: without what is only drawn.
        placed: float64 [E, F, 7], places and quaternions of the mocap bodies.
    """

    def __init__(self, model: mujoco.MjModel, placed: np.ndarray):
        self.model = model
        self.datas = [mujoco.MjData(model) for _ in range(len(placed))]
        self.pool = ThreadPoolExecutor(threads())
        for data, row in zip(self.datas, placed, strict=True):
            data.mocap_pos[:], data.mocap_quat[:] = row[:, :3], row[:, 3:]

    def __call__(self, state: np.ndarray, controls: np.ndarray) -> np.ndarray:
        """The state a tick later."""
        q, after = self.model.nq, np.empty_like(state)

        def work(first: int) -> None:
            for world in range(first, len(state), threads()):
                data = self.datas[world]
                data.qpos[:], data.qvel[:] = state[world, 1 : 1 + q], state[world, 1 + q :]
                for control in controls[world]:
                    data.ctrl[:] = control
                    mujoco.mj_step(self.model, data)
                after[world, 1 : 1 + q], after[world, 1 + q :] = data.qpos, data.qvel

        after[:, 0] = 0.0
        list(self.pool.map(work, range(threads())))
        return after


def stepper(way: Stepping, model: mujoco.MjModel, placed: np.ndarray) -> Stepper:
    """One of the two ways to step all worlds."""
    match way:
        case "mujoco.rollout":
            return RolloutStepper(model, placed)
        case "mj_step in threads":
            return ThreadStepper(model, placed)
        case _:
            assert_never(way)


class Painter:
    """One mujoco.Renderer that draws one world after the other.

    Args:
        spec: what is on the table.
        settings: of all worlds, on the host; only clean worlds look as the ray caster draws them.
        cameras: which, in order.
        size: H = W, pixels.
    """

    def __init__(self, spec: SceneSpec, settings: Setting, cameras: tuple[str, ...], size: int):
        self.spec, self.settings, self.cameras = spec, settings, cameras
        self.model = model = copy.copy(scene.build_model(spec))
        self.data = mujoco.MjData(model)
        # The extent of the workspace, not that of wall and parked things: a finer shadow map.
        model.stat.extent, model.stat.center[:] = 1.0, (0.4, 0.0, 0.0)
        # A light's own ambient share is dark in its shadow; the headlight's, as here, is not.
        head = model.vis.headlight
        head.active, head.diffuse[:], head.specular[:] = 1, 0.0, 0.0
        hidden = [int(model.geom(name).id) for name in scene.PROPS[: spec.props]]
        model.geom_rgba[hidden, 3] = 0.0
        for name in find_robot(spec.robot).cameras:
            if name != "primary":
                model.cam_fovy[model.camera(name).id] = find_robot(spec.robot).wrist_fovy
        self.renderer = mujoco.Renderer(model, size, size)
        for flag in ("REFLECTION", "HAZE", "SKYBOX", "FOG"):
            self.renderer.scene.flags[getattr(mujoco.mjtRndFlag, f"mjRND_{flag}")] = 0
        rows, self.palette = scene.places(spec).tinted
        self.tinted = scene.places(spec).drawn[rows]
        self.colours = np.array([rgb for _, rgb in instructions.COLOURS], np.float32)

    def __call__(self, positions: np.ndarray, *, shadows: bool) -> np.ndarray:
        """Pictures uint8 [E, V, H, W, 3] of positions [E, q]."""
        self.renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        return np.stack([self._world(world, row) for world, row in enumerate(positions)])

    def _world(self, world: int, position: np.ndarray) -> np.ndarray:
        model, data = self.model, self.data
        self._dress(world)
        data.qpos[:] = position
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        views = []
        for camera in self.cameras:
            self.renderer.update_scene(data, camera=camera)
            views.append(self.renderer.render().copy())
        return np.stack(views)

    def _dress(self, world: int) -> None:
        """Colours, camera, light and places of one world, written into the model."""
        model, setting = self.model, self.settings
        look, layout = setting.look, setting.layout
        model.geom_rgba[self.tinted, :3] = self.colours[setting.palette[world][self.palette]]
        behind = [int(model.geom(name).id) for name in SURFACES]
        model.geom_rgba[behind, :3] = look.rgb[world]
        eye = int(model.camera("primary").id)
        model.cam_pos[eye] = look.camera.position[world]
        mujoco.mju_mat2Quat(
            model.cam_quat[eye], np.asarray(look.camera.rotation[world], np.float64).ravel()
        )
        model.cam_fovy[eye] = look.camera.fovy[world]
        sun = look.lights
        model.light_dir[0] = sun.direction[world, 0]
        model.light_diffuse[0], model.light_specular[0] = (
            sun.diffuse[world, 0],
            sun.specular[world, 0],
        )
        model.light_ambient[0] = 0.0
        model.vis.headlight.ambient[:] = look.ambient[world]
        for index, mark in enumerate(self.spec.marks):
            body = int(model.body(mark.name).mocapid[0])
            self.data.mocap_pos[body] = (*layout.marks[world, index], 0.001)
        for kind, row in zip(self.spec.fixtures, placed_fixtures(self.spec, setting)[world]):
            body = int(model.body(kind).mocapid[0])
            self.data.mocap_pos[body], self.data.mocap_quat[body] = row[:3], row[3:]


def placed_fixtures(spec: SceneSpec, setting: Setting) -> np.ndarray:
    """Places and quaternions of the fixtures of all worlds, float64 [E, F, 7]."""
    where = np.asarray(setting.layout.fixtures, np.float64)
    placed = np.zeros((*where.shape[:2], 7))
    placed[..., :2] = where[..., :2]
    placed[..., 2] = [FIXTURES[kind].height for kind in spec.fixtures]
    placed[..., 3], placed[..., 6] = np.cos(where[..., 2] / 2), np.sin(where[..., 2] / 2)
    return placed


class PlainLoop:
    """The loop; OpenGL must have been chosen before MuJoCo was imported.

    Args:
        case: worlds and policy; only clean worlds, whose actions come without delay.
    """

    def __init__(self, case: Case):
        begun = time.perf_counter()
        self.case, self.env = case, case.env("c")
        self.spec, self.replan = self.env.task.scene, 0
        self.policy, self.weights = case.policy()
        self.replan = self.policy.replan
        spec, env = self.spec, self.env
        still = jnp.zeros(scene.build_model(spec).nv)

        def command(told: Command, position: Array, action: Array) -> tuple[Command, Array]:
            motion = Motion(position=position, velocity=still, warmstart=still)
            body = physics.Body(motion=motion, command=told)
            return physics.command_after(spec, env.action, body, action)

        def moved(state: Any, position: Array) -> Any:
            world = state.pipeline_state
            motion = world.body.motion.replace(position=position)
            return state.replace(
                pipeline_state=world.replace(body=world.body.replace(motion=motion))
            )

        def score(state: Any, position: Array) -> Array:
            return env.task.solved(env.situation(moved(state, position)))

        def think(weights: Any, frames: Array, states: Any, positions: Array, plan: Array):
            setting = states.info["setting"]
            seen = Observation(
                frames=frames[:, :, None],
                camera_mask=jnp.ones(frames.shape[:2], bool),
                proprio=jax.vmap(lambda s, p: env.proprio(moved(s, p)))(states, positions),
                text=setting.text,
            )
            key, seeds = jax.random.key(case.seed), setting.variant.seed
            keys = jax.vmap(plan_key, in_axes=(None, 0, None))(key, seeds, plan)
            return thinker(self.policy.act, self.replan, weights, lambda one: one)(seen, keys)[0]

        self.reset = program_jit(jax.vmap(env.reset_variant))
        self.command = program_jit(jax.vmap(command))
        self.score = program_jit(jax.vmap(score))
        self.think = program_jit(think)
        start = self.reset(case.variants())
        settings: Setting = jax.device_get(start.info["setting"])
        self.painter = Painter(spec, settings, case.cameras, case.size)
        self.placed = placed_fixtures(spec, settings)
        self.model = scene.build_physics_model(spec)
        # Compile everything else before anything is timed.
        position = np.asarray(start.pipeline_state.body.position)
        pictures = self.painter(position, shadows=True)
        actions = self.think(self.weights, pictures, start, position, np.int32(0))
        told, grips = self.command(start.pipeline_state.body.command, position, actions[:, 0])
        jax.block_until_ready(self.score(start, position))
        self.compile_seconds = time.perf_counter() - begun
        ramp = self.controls(np.asarray(start.pipeline_state.body.command.joints), told, grips)
        self.trial = self._trial(self._state(position), ramp)
        self.way = min(self.trial, key=lambda way: self.trial[way])
        self.step = stepper(self.way, self.model, self.placed)

    def _state(self, position: np.ndarray) -> np.ndarray:
        """At rest, float64 [E, 1 + q + v]."""
        state = np.zeros((self.case.worlds, 1 + self.model.nq + self.model.nv))
        state[:, 1 : 1 + self.model.nq] = position
        return state

    def _trial(self, state: np.ndarray, controls: np.ndarray) -> dict[Stepping, float]:
        """Median seconds of one tick of all worlds, by way of stepping."""
        found: dict[Stepping, float] = {}
        ways: tuple[Stepping, ...] = ("mujoco.rollout", "mj_step in threads")
        for way in ways:
            step, times = stepper(way, self.model, self.placed), []
            step(state, controls)
            for _ in range(TRIAL_TICKS):
                begun = time.perf_counter()
                step(state, controls)
                times.append(time.perf_counter() - begun)
            found[way] = statistics.median(times)
        return found

    def controls(self, before: np.ndarray, told: Command, grips: Array) -> np.ndarray:
        """The servos' targets in each physics step, float64 [E, SUBSTEPS, u]; see sim.physics."""
        where, steps = scene.places(self.spec), scene.SUBSTEPS
        after, opening = np.asarray(told.joints), np.asarray(grips)
        shares = np.arange(1, steps + 1, dtype=np.float32) / steps
        controls = np.zeros((len(before), steps, self.model.nu))
        for index, arm in enumerate(self.env.robot.arms):
            lead = np.asarray(arm.lead, np.float32) * np.float32(scene.CONTROL_HZ)
            old, new = before[:, index, None], after[:, index, None]
            ramp = old + (shares[:, None] + lead) * (new - old)
            controls[:, :, where.arm_controls[index]] = ramp
            grip = arm.gripper
            slide = grip.shut + (grip.wide - grip.shut) * opening[:, index]
            controls[:, :, where.finger_controls[index]] = slide[:, None, None]
        return controls

    def play(self, *, shadows: bool = True, script: np.ndarray | None = None) -> Play:
        """All episodes once.

        Args:
            shadows: draw them.
            script: actions [E, S, A] to execute instead of asking the policy.
        """
        clock, q = Clock(), self.model.nq
        with clock.part("control"):
            states = jax.block_until_ready(self.reset(self.case.variants()))
            body = states.pipeline_state.body
            told, joints = body.command, np.asarray(body.command.joints)
            state = self._state(np.asarray(body.position))
            held = np.zeros(self.case.worlds, np.int32)
            success = np.zeros(self.case.worlds, bool)
        position = state[:, 1 : 1 + q].astype(np.float32)
        positions, played, first = [position], [], None
        planned: Any = script
        for tick in range(self.case.horizon):
            if script is not None:
                action = script[:, tick]
            else:
                if tick % self.replan == 0:
                    with clock.part("drawing"):
                        pictures = self.painter(position, shadows=shadows)
                    first = pictures if first is None else first
                    with clock.part("policy"):
                        plan = np.int32(tick // self.replan)
                        planned = np.asarray(
                            self.think(self.weights, pictures, states, position, plan)
                        )
                action = planned[:, tick % self.replan]
            with clock.part("control"):
                told, grips = jax.block_until_ready(self.command(told, position, action))
                controls = self.controls(joints, told, grips)
                joints = np.asarray(told.joints)
            with clock.part("physics"):
                state = self.step(state, controls)
            position = state[:, 1 : 1 + q].astype(np.float32)
            with clock.part("control"):
                held = np.where(np.asarray(self.score(states, position)), held + 1, 0)
                success |= held >= self.env.task.hold
            positions.append(position)
            played.append(action)
        seconds = clock.stop()
        last = self.painter(position, shadows=shadows)
        return Play(
            seconds=seconds,
            success=success,
            positions=np.stack(positions, axis=1),
            actions=np.stack(played, axis=1),
            first=last if first is None else first,
            last=last,
        )


class LoopProcess:
    """A PlainLoop in a process of its own, which has chosen its OpenGL; a context manager.

    Args:
        case: see PlainLoop.
        library: "egl" or "osmesa", see `sim.render.opengl.backend`.
        cached: take programs from the compile cache, for tests.

    Attributes:
        compile_seconds: of the loop's jitted parts with their first calls; nothing is cached.
        way: how it steps.
        trial: seconds per tick of each way.
    """

    def __init__(self, case: Case, library: str, *, cached: bool = False):
        ours, theirs = multiprocessing.get_context("spawn").Pipe()
        chosen = {"MUJOCO_GL": library, "PYOPENGL_PLATFORM": library}
        # The child reads its surroundings when it imports MuJoCo and jax.
        caching = {"JAX_ENABLE_COMPILATION_CACHE": "1" if cached else "0"}
        with _environment(chosen | caching):
            context = multiprocessing.get_context("spawn")
            self.process = context.Process(target=_serve, args=(theirs, case, cached), daemon=True)
            self.process.start()
        self.pipe: Any = ours
        theirs.close()
        self.compile_seconds, self.way, self.trial = self._answer()

    def play(self, *, shadows: bool = True, script: np.ndarray | None = None) -> Play:
        """See PlainLoop.play."""
        self.pipe.send({"shadows": shadows, "script": script})
        return self._answer()

    def _answer(self) -> Any:
        try:
            kind, value = self.pipe.recv()
        except EOFError:
            raise RuntimeError("the plain loop's process ended without a word") from None
        if kind == "error":
            raise RuntimeError(f"the plain loop failed: {value}")
        return value

    def __enter__(self) -> "LoopProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.pipe.close()
        self.process.join(10)
        if self.process.is_alive():
            self.process.terminate()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, case: Case, cached: bool) -> None:
    """The other process: answer until the pipe is closed."""
    try:
        if cached:
            enable_compile_cache()
        loop = PlainLoop(case)
        pipe.send(("made", (loop.compile_seconds, loop.way, loop.trial)))
        while True:
            try:
                wish = pipe.recv()
            except EOFError:
                return
            pipe.send(("played", loop.play(**wish)))
    except Exception:
        pipe.send(("error", traceback.format_exc()))
