"""The tabletop as one MJCF model for all tasks: arm, table, two cubes, a marked spot, parked props.

The base frame of the robot is the world frame; the table top is z = 0, x points away from the
robot, y to its left. What is drawn (geom group 2) does not collide and what collides (group 3) is
not drawn. Contacts exist only as explicit pairs, 16 of them at most, because MJX pays for every
possible contact whether it happens or not. Spot and props are mocap bodies: they are moved by
writing poses and cost no dynamics.
"""

import dataclasses
import functools

import mujoco
import numpy as np

from wamjax.sim import panda
from wamjax.sim.panda import numbers

CUBES = ("cube_a", "cube_b")
CUBE_HALF = 0.03
CUBE_MASS = 0.1
SPOT_RADIUS = 0.05
PROPS = ("prop_a", "prop_b", "prop_c", "prop_d", "prop_e")
DRAWN_GROUP = 2
PARKED = (0.0, 0.0, -5.0)
CAMERAS = ("primary", "wrist")
TIMESTEP = 0.005
CONTROL_HZ = 10.0
SUBSTEPS = round(1 / (CONTROL_HZ * TIMESTEP))

CAMERA_POSITION = np.array([1.05, 0.16, 0.64])
CAMERA_TARGET = np.array([0.46, 0.0, 0.1])
CAMERA_FOVY = 39.0
WRIST_FOVY = 80.0

TABLE_COLOUR = (0.62, 0.5, 0.38)
FLOOR_COLOUR = (0.35, 0.35, 0.38)
WALL_COLOUR = (0.75, 0.76, 0.72)
SPOT_COLOUR = (0.95, 0.95, 0.95)
PROP_SHAPES = (
    ("sphere", (0.03,), (0.55, 0.3, 0.1)),
    ("cylinder", (0.025, 0.04), (0.1, 0.6, 0.6)),
    ("capsule", (0.02, 0.03), (0.9, 0.5, 0.7)),
    ("cylinder", (0.035, 0.015), (0.3, 0.3, 0.3)),
    ("sphere", (0.022,), (0.9, 0.9, 0.3)),
)
"""Type, sizes (m) and colour of each parked prop."""


def look_at(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Camera axes (right, up, backward) as the columns of a matrix, MuJoCo's convention."""
    backward = position - target
    backward = backward / np.linalg.norm(backward)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right = right / np.linalg.norm(right)
    return np.stack([right, np.cross(backward, right), backward], axis=1)


def _cube(name: str, y: float) -> str:
    size = f"{CUBE_HALF} {CUBE_HALF} {CUBE_HALF}"
    return (
        f'<body name="{name}" pos="0.5 {y} {CUBE_HALF}"><freejoint name="{name}"/>'
        f'<geom name="{name}" class="drawn" type="box" size="{size}" rgba="1 0 0 1"/>'
        f'<geom name="{name}_hull" class="contact" type="box" size="{size}" mass="{CUBE_MASS}"/>'
        f'<geom name="{name}_core" class="contact" type="sphere" size="{CUBE_HALF}"/></body>'
    )


def _prop(name: str, shape: tuple[str, tuple[float, ...], tuple[float, ...]]) -> str:
    kind, size, colour = shape
    return (
        f'<body name="{name}" mocap="true" pos="{numbers(PARKED)}"><geom name="{name}" '
        f'class="drawn" type="{kind}" size="{numbers(size)}" rgba="{numbers(colour)} 1"/></body>'
    )


def _pairs() -> str:
    """Cube on table, cube against cube (core sphere against hull), pads on cubes and table."""
    rows = [("top", f"{cube}_hull", 0.5) for cube in CUBES]
    rows += [("cube_a_core", "cube_b_hull", 0.4), ("cube_b_core", "cube_a_hull", 0.4)]
    for side in ("left", "right"):
        rows += [(f"pad_{side}", f"{cube}_hull", 0.5) for cube in CUBES]
        rows.append(("top", f"pad_{side}", 0.5))
    return "".join(
        f'<pair geom1="{one}" geom2="{two}" condim="3" friction="{slide} {slide} 0.005 1e-4 1e-4" '
        f'solref="0.02 1" solimp="0.9 0.95 0.001"/>'
        for one, two, slide in rows
    )


def scene_xml() -> str:
    """The whole model as MJCF text."""
    axes = look_at(CAMERA_POSITION, CAMERA_TARGET)
    wrist = (
        f'<camera name="wrist" pos="0.075 0 0.02" xyaxes="0 1 0 0.94 0 0.34" fovy="{WRIST_FOVY}"/>'
    )
    return f"""
<mujoco model="tabletop">
  <compiler angle="radian" balanceinertia="true"/>
  <option timestep="{TIMESTEP}" integrator="implicitfast" cone="pyramidal" solver="Newton"
          iterations="5" ls_iterations="6"><flag eulerdamp="disable"/></option>
  <visual><quality shadowsize="1024" offsamples="0"/></visual>
  <default>
    <default class="drawn">
      <geom contype="0" conaffinity="0" group="{DRAWN_GROUP}" mass="0"/>
    </default>
    <default class="contact">
      <geom contype="0" conaffinity="0" group="3" mass="0"/>
    </default>
  </default>
  <worldbody>
    <light name="sun" type="directional" pos="0.5 0 2" dir="-0.35 0.25 -0.9"/>
    <camera name="primary" pos="{numbers(CAMERA_POSITION)}" fovy="{CAMERA_FOVY}"
            xyaxes="{numbers(axes[:, 0])} {numbers(axes[:, 1])}"/>
    <geom name="floor" class="drawn" type="plane" size="0 0 1" pos="0 0 -0.75"
          rgba="{numbers(FLOOR_COLOUR)} 1"/>
    <geom name="wall" class="drawn" type="box" size="0.05 3 2" pos="-1.2 0 1"
          rgba="{numbers(WALL_COLOUR)} 1"/>
    <geom name="table" class="drawn" type="box" size="0.6 0.65 0.025" pos="0.35 0 -0.025"
          rgba="{numbers(TABLE_COLOUR)} 1"/>
    <geom name="top" class="contact" type="plane" size="1 1 1"/>
    {panda.body_xml(wrist)}
    {"".join(_cube(name, 0.15 * (1 - 2 * index)) for index, name in enumerate(CUBES))}
    <body name="spot" mocap="true" pos="{numbers(PARKED)}">
      <geom name="spot" class="drawn" type="cylinder" size="{SPOT_RADIUS} 0.001"
            rgba="{numbers(SPOT_COLOUR)} 1"/>
    </body>
    {"".join(_prop(name, shape) for name, shape in zip(PROPS, PROP_SHAPES, strict=True))}
  </worldbody>
  <contact>{_pairs()}</contact>
  <actuator>{panda.actuator_xml()}</actuator>
</mujoco>"""


@functools.cache
def build_model() -> mujoco.MjModel:
    """The compiled model; the same object at every call."""
    return mujoco.MjModel.from_xml_string(scene_xml())


@functools.cache
def build_physics_model() -> mujoco.MjModel:
    """The same without what is only drawn (a sixth faster in MJX); the same qpos and qvel."""
    spec = mujoco.MjSpec.from_string(scene_xml())
    shown = [geom for geom in spec.geoms if geom.group == DRAWN_GROUP]
    moved = [body for body in spec.bodies if body.mocap]
    for thing in (*shown, *moved, *spec.cameras, *spec.lights):
        spec.delete(thing)
    return spec.compile()


@dataclasses.dataclass(frozen=True)
class Places:
    """Where things live in the model's arrays.

    Attributes:
        arm: positions of the seven joints in qpos (and of their speeds in qvel).
        fingers: positions of the two finger slides in qpos and qvel.
        cubes: first qpos address of each cube (x y z, then the quaternion).
        hand: body index of the hand.
        drawn: geom indices of what is drawn.
    """

    arm: np.ndarray
    fingers: np.ndarray
    cubes: tuple[int, ...]
    hand: int
    drawn: np.ndarray


@functools.cache
def places() -> Places:
    """Addresses by name."""
    model = build_model()
    arm = [int(model.joint(f"joint{i + 1}").qposadr[0]) for i in range(panda.ARM_JOINTS)]
    fingers = [int(model.joint(f"finger_{side}").qposadr[0]) for side in ("left", "right")]
    return Places(
        arm=np.array(arm),
        fingers=np.array(fingers),
        cubes=tuple(int(model.joint(name).qposadr[0]) for name in CUBES),
        hand=int(model.body("hand").id),
        drawn=np.flatnonzero(model.geom_group == DRAWN_GROUP),
    )
