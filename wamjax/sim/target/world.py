"""One world of the target domain: joint targets in, joint readings and places of things out.

The control law is training's: over a tick of length T each joint follows a ramp with velocity
feed-forward,

    control(t) = before + (t / T + lead / T) (after - before),

but `delay` later: what a command asks for starts when the tick is `delay` old, and until then the
last command's ramp runs to its end. Plain NumPy, one world at a time.
"""

import dataclasses

import mujoco
import numpy as np

from wamjax.sim import scene
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.scene import SceneSpec
from wamjax.sim.target.model import REALITY, Reality, build_target


@dataclasses.dataclass(frozen=True, kw_only=True)
class Start:
    """How a world begins, host arrays.

    Attributes:
        position: MuJoCo's qpos [q].
        fixtures: places (m) and quaternions [F, 7].
        marks: m, [M, 2].
        props: m, [D, 3].
        props_shown: bool [D].
        tints: rgb of the tinted geoms, 0..1, in the order of `scene.places().tinted`.
        camera: primary camera as calibrated: place (m) [3], axes [3, 3].
        fovy: degrees.
    """

    position: np.ndarray
    fixtures: np.ndarray
    marks: np.ndarray
    props: np.ndarray
    props_shown: np.ndarray
    tints: np.ndarray
    camera: tuple[np.ndarray, np.ndarray]
    fovy: float


def place_things(spec: SceneSpec, model: mujoco.MjModel, data: mujoco.MjData, start: Start) -> None:
    """Positions, fixtures, marks and props of `start`, at rest."""
    mujoco.mj_resetData(model, data)
    data.qpos[:] = start.position
    where = [(name, pose[:3], pose[3:]) for name, pose in zip(spec.fixtures, start.fixtures)]
    flat = np.array([1.0, 0.0, 0.0, 0.0])
    for mark, place in zip(spec.marks, start.marks, strict=True):
        where.append((mark.name, np.array([*place, 0.001]), flat))
    for name, place, shown in zip(scene.PROPS, start.props, start.props_shown):
        where.append((name, place if shown else np.array(scene.PARKED), flat))
    for name, place, turn in where:
        row = int(model.body(name).mocapid[0])
        data.mocap_pos[row], data.mocap_quat[row] = place, turn
    mujoco.mj_forward(model, data)


class TargetWorld:
    """One world in C MuJoCo.

    Args:
        spec: what is on the table.
        start: where everything is.
        reality: the constants.
    """

    def __init__(self, spec: SceneSpec, start: Start, reality: Reality = REALITY):
        self.spec, self.start, self.reality = spec, start, reality
        self.model = build_target(spec, reality)
        self.data = mujoco.MjData(self.model)
        place_things(spec, self.model, self.data, start)
        self._last: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def position(self) -> np.ndarray:
        """MuJoCo's qpos [q]; not finite once the physics have blown up."""
        return self.data.qpos.copy()

    def tick(self, before: np.ndarray, after: np.ndarray, slides: np.ndarray) -> np.ndarray:
        """One control tick.

        Args:
            before: rad, [R, J], where the arms were told to be when the tick begins.
            after: rad, [R, J], where they are told to be when it ends.
            slides: m, [R], where the fingers are told to be.

        Returns:
            `position` after it.
        """
        if np.isfinite(self.data.qpos).all():
            told = (before, after, slides)
            for control in self._controls(told, self._last or (before, before, slides)):
                self.data.ctrl[:] = control
                mujoco.mj_step(self.model, self.data)
            self._last = told
        return self.position

    def _controls(self, now: tuple, last: tuple) -> np.ndarray:
        """What the servos are told at each physics step of a tick, [steps, u]."""
        where, robot = scene.places(self.spec), find_robot(self.spec.robot)
        steps = round(1.0 / (scene.CONTROL_HZ * self.reality.timestep))
        shares = np.arange(1, steps + 1) / steps - self.reality.delay * scene.CONTROL_HZ
        fresh = shares[:, None] > 1e-9
        out = np.zeros((steps, self.model.nu))
        for index, arm in enumerate(robot.arms):
            lead = np.asarray(arm.lead) * scene.CONTROL_HZ

            def ramp(told: tuple, share: np.ndarray, index: int = index, lead=lead) -> np.ndarray:
                before, after, _ = told
                return before[index] + (share[:, None] + lead) * (after[index] - before[index])

            arms = np.where(fresh, ramp(now, shares), ramp(last, 1.0 + shares))
            out[:, where.arm_controls[index]] = arms
            out[:, where.finger_controls[index]] = np.where(fresh, now[2][index], last[2][index])
        return out
