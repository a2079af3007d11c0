"""The plain loop itself, in the process that has chosen its OpenGL."""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.records import Observation
from wamjax.core.runtime import program_jit
from wamjax.core.typing import Array
from wamjax.eval.bench_case import Case
from wamjax.eval.plain.painter import Painter, placed_fixtures
from wamjax.eval.plain.stepping import Stepping, stepper
from wamjax.eval.rollout import plan_key, thinker
from wamjax.sim import physics, scene
from wamjax.sim.control import Command
from wamjax.sim.setting import Setting
from wamjax.sim.stepping import Motion

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
