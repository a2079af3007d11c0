"""Two ways to step all worlds of the plain loop by C MuJoCo, a control tick at a time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Protocol, assert_never

import mujoco
import mujoco.rollout
import numpy as np

from wamjax.sim import scene
from wamjax.sim.stepping import CONTROL, threads

Stepping = Literal["mujoco.rollout", "mj_step in threads"]


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
