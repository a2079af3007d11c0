"""The tabletop as MJCF and as constants: a robot, blocks, fixtures, marks, a pool of props.

Origin at the robot's base (or between two), table top at z = 0. What is drawn (group 2) does not
collide and what collides (group 3) is not drawn. Contacts exist only as explicit pairs, because
MJX pays for every possible contact whether it happens or not. Fixtures, marks and props are mocap
bodies: they are moved by writing poses and cost no dynamics.
"""

import dataclasses
import functools
from typing import Literal

import mujoco
import numpy as np

from wamjax.sim.fixtures import FIXTURES, FixtureName
from wamjax.sim.robots.record import Slab, numbers
from wamjax.sim.robots.registry import find_robot

BLOCK_NAMES = ("cube_a", "cube_b", "cube_c")
DRAWN_GROUP = 2
PARKED = (0.0, 0.0, -5.0)
TIMESTEP = 0.005
CONTROL_HZ = 10.0
SUBSTEPS = round(1 / (CONTROL_HZ * TIMESTEP))
ITERATIONS = 10
"""At most, of the contact solver and of its line search; with 5 and 6 C and MJX part in a grasp."""
TOUCHING = 'solref="0.02 1" solimp="0.9 0.95 0.001"'
HELD = 'solref="0.02 1" solimp="0.98 0.99 0.001"'
"""Contact softness as MJCF. Soft friction lets a held cube creep down by 3.4 mm/s, this by 1.5."""

TABLE_COLOUR = (0.62, 0.5, 0.38)
FLOOR_COLOUR = (0.35, 0.35, 0.38)
WALL_COLOUR = (0.75, 0.76, 0.72)
MARK_COLOUR = (0.95, 0.95, 0.95)
_PROP_CYCLE = (
    ("sphere", (0.03,), 0.03),
    ("cylinder", (0.025, 0.04), 0.04),
    ("capsule", (0.02, 0.03), 0.05),
    ("cylinder", (0.035, 0.015), 0.015),
    ("sphere", (0.022,), 0.022),
)
"""Type, sizes (m) and the height of the centre of a standing prop."""
_PROP_COLOURS = (
    (0.55, 0.3, 0.1),
    (0.1, 0.6, 0.6),
    (0.9, 0.5, 0.7),
    (0.3, 0.3, 0.3),
    (0.9, 0.9, 0.3),
    (0.5, 0.15, 0.6),
    (0.95, 0.6, 0.25),
    (0.65, 0.75, 0.55),
    (0.15, 0.15, 0.45),
    (0.8, 0.8, 0.85),
    (0.4, 0.6, 0.1),
    (0.75, 0.25, 0.35),
    (0.45, 0.4, 0.35),
    (0.2, 0.45, 0.7),
    (0.95, 0.85, 0.7),
)
PROPS = tuple(f"prop_{chr(97 + i)}" for i in range(len(_PROP_COLOURS)))
PROP_HEIGHTS = np.array(
    [_PROP_CYCLE[i % len(_PROP_CYCLE)][2] for i in range(len(PROPS))], np.float32
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """A movable box.

    Attributes:
        half: m, half sizes.
        mass: kg.
    """

    half: tuple[float, float, float] = (0.03, 0.03, 0.03)
    mass: float = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
    """Something drawn on the table that blocks go to.

    Attributes:
        name: of the body and the geom.
        kind: a disc of radius `size` or a square of half side `size`.
        size: m.
        palette: index into the task's palette, or -1 for white.
    """

    name: str
    kind: Literal["cylinder", "box"] = "cylinder"
    size: float = 0.05
    palette: int = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneSpec:
    """What a task needs on the table; scenes with equal specs share a model.

    Attributes:
        robot: its name.
        blocks: movable boxes; block i has colour i of the palette.
        grasping: two contact spheres per finger, and boxes that rest on each other.
        marks: on the table.
        fixtures: at most one of each kind.
        props: how many drawn distractors are in the pool.
    """

    robot: str = "panda"
    blocks: tuple[Block, ...] = ()
    grasping: bool = False
    marks: tuple[Mark, ...] = ()
    fixtures: tuple[FixtureName, ...] = ()
    props: int = len(PROPS)


def look_at(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Camera axes (right, up, backward) as the columns of a matrix, MuJoCo's convention."""
    backward = position - target
    backward = backward / np.linalg.norm(backward)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right = right / np.linalg.norm(right)
    return np.stack([right, np.cross(backward, right), backward], axis=1)


def _block(name: str, block: Block, index: int, grasping: bool) -> str:
    size = numbers(block.half)
    # Without grasping, cubes that touch meet as ball and box, a quarter of the contacts.
    core = "" if grasping else f'<geom name="{name}_core" class="contact" size="{block.half[0]}"/>'
    where = f"0.5 {0.15 * (1 - 2 * index)} {block.half[2]}"
    return (
        f'<body name="{name}" pos="{where}"><freejoint name="{name}"/>'
        f'<geom name="{name}" class="drawn" type="box" size="{size}" rgba="1 0 0 1"/>'
        f'<geom name="{name}_hull" class="contact" type="box" size="{size}" mass="{block.mass}"/>'
        f"{core}</body>"
    )


def _prop(index: int) -> str:
    kind, size, _ = _PROP_CYCLE[index % len(_PROP_CYCLE)]
    name, colour = PROPS[index], _PROP_COLOURS[index]
    return (
        f'<body name="{name}" mocap="true" pos="{numbers(PARKED)}"><geom name="{name}" '
        f'class="drawn" type="{kind}" size="{numbers(size)}" rgba="{numbers(colour)} 1"/></body>'
    )


def _mark(mark: Mark) -> str:
    thin = 0.001
    size = (mark.size, thin) if mark.kind == "cylinder" else (mark.size, mark.size, thin)
    return (
        f'<body name="{mark.name}" mocap="true" pos="{numbers(PARKED)}"><geom name="{mark.name}" '
        f'class="drawn" type="{mark.kind}" size="{numbers(size)}" '
        f'rgba="{numbers(MARK_COLOUR)} 1"/></body>'
    )


def _slab(name: str, slab: Slab, colour: tuple[float, ...]) -> str:
    return (
        f'<geom name="{name}" class="drawn" type="box" size="{numbers(slab.half)}" '
        f'pos="{numbers(slab.centre)}" rgba="{numbers(colour)} 1"/>'
    )


def contact_pairs(spec: SceneSpec) -> list[tuple[str, str, float]]:
    """(geom, geom, sliding friction) of everything that can touch."""
    names = BLOCK_NAMES[: len(spec.blocks)]
    pads = find_robot(spec.robot).pads(spec.grasping)
    rows = [("top", f"{name}_hull", 0.5) for name in names]
    for i, one in enumerate(names):
        for two in names[i + 1 :]:
            if spec.grasping:
                rows.append((f"{one}_hull", f"{two}_hull", 0.7))
            else:
                rows += [(f"{one}_core", f"{two}_hull", 0.4), (f"{two}_core", f"{one}_hull", 0.4)]
    for pad in pads:
        rows += [(pad, f"{name}_hull", 1.0 if spec.grasping else 0.5) for name in names]
        rows.append(("top", pad, 0.5))
    for kind in spec.fixtures:
        fixture = FIXTURES[kind]
        rows += [(hull, f"{name}_hull", 0.5) for hull in fixture.hulls for name in names]
        rows += [(pad, handle, 1.0) for handle in fixture.handles for pad in pads]
    return rows


def _pairs(spec: SceneSpec) -> str:
    robot = find_robot(spec.robot)
    pads = {*robot.pads(spec.grasping)}

    def softness(one: str, two: str) -> str:
        held = spec.grasping and "top" not in (one, two) and not pads.isdisjoint((one, two))
        return HELD if held else TOUCHING

    return "".join(
        f'<pair geom1="{one}" geom2="{two}" condim="3" friction="{slide} {slide} 0.005 1e-4 1e-4" '
        f"{softness(one, two)}/>"
        for one, two, slide in contact_pairs(spec)
    )


def scene_xml(spec: SceneSpec) -> str:
    """The whole model as MJCF text."""
    robot = find_robot(spec.robot)
    view = robot.view
    axes = look_at(np.array(view.position), np.array(view.target))
    fixtures = "".join(
        f'<body name="{kind}" mocap="true" pos="0.5 0 {FIXTURES[kind].height}">'
        f"{FIXTURES[kind].xml}</body>"
        for kind in spec.fixtures
    )
    blocks = "".join(
        _block(BLOCK_NAMES[i], block, i, spec.grasping) for i, block in enumerate(spec.blocks)
    )
    return f"""
<mujoco model="tabletop">
  <compiler angle="radian" balanceinertia="true"/>
  <option timestep="{TIMESTEP}" integrator="implicitfast" cone="pyramidal" solver="Newton"
          iterations="{ITERATIONS}" ls_iterations="{ITERATIONS}">
    <flag eulerdamp="disable"/>
  </option>
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
    <camera name="primary" pos="{numbers(np.array(view.position))}" fovy="{view.fovy}"
            xyaxes="{numbers(axes[:, 0])} {numbers(axes[:, 1])}"/>
    <geom name="floor" class="drawn" type="plane" size="0 0 1" pos="0 0 -0.75"
          rgba="{numbers(FLOOR_COLOUR)} 1"/>
    {_slab("wall", robot.wall, WALL_COLOUR)}
    {_slab("table", robot.table, TABLE_COLOUR)}
    <geom name="top" class="contact" type="plane" size="1 1 1"/>
    {robot.bodies(spec.grasping)}
    {blocks}
    {fixtures}
    {"".join(_mark(mark) for mark in spec.marks)}
    {"".join(_prop(index) for index in range(spec.props))}
  </worldbody>
  <contact>{_pairs(spec)}</contact>
  <actuator>{robot.actuators()}</actuator>
</mujoco>"""


@functools.cache
def build_model(spec: SceneSpec) -> mujoco.MjModel:
    """The compiled model; the same object at every call."""
    return mujoco.MjModel.from_xml_string(scene_xml(spec))


@functools.cache
def build_physics_model(spec: SceneSpec) -> mujoco.MjModel:
    """The same without what is only drawn (a sixth faster in MJX); the same qpos and qvel."""
    parsed = mujoco.MjSpec.from_string(scene_xml(spec))
    shown = [geom for geom in parsed.geoms if geom.group == DRAWN_GROUP]
    moved = [body for body in parsed.bodies if body.mocap and body.name not in FIXTURES]
    for thing in (*shown, *moved, *parsed.cameras, *parsed.lights):
        parsed.delete(thing)
    return parsed.compile()


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Places:
    """Where things live in the model's arrays.

    Attributes:
        arms: per arm, positions of its joints in qpos (and of their speeds in qvel).
        fingers: per arm, positions of the two finger slides in qpos and qvel.
        arm_controls: per arm, actuators of its joints.
        finger_controls: per arm, actuators of its fingers.
        blocks: first qpos address of each block (x y z, then the quaternion).
        slides: qpos addresses of the drawers.
        drawn: geom indices of what is drawn.
        tinted: (rows among the drawn, indices into the palette).
    """

    arms: tuple[np.ndarray, ...]
    fingers: tuple[np.ndarray, ...]
    arm_controls: tuple[np.ndarray, ...]
    finger_controls: tuple[np.ndarray, ...]
    blocks: tuple[int, ...]
    slides: np.ndarray
    drawn: np.ndarray
    tinted: tuple[np.ndarray, np.ndarray]


@functools.cache
def places(spec: SceneSpec) -> Places:
    """Addresses by name."""
    model, robot = build_model(spec), find_robot(spec.robot)

    def address(name: str) -> int:
        return int(model.joint(name).qposadr[0])

    def joints(names: tuple[str, ...]) -> np.ndarray:
        return np.array([address(name) for name in names], int)

    def controls(names: tuple[str, ...]) -> np.ndarray:
        return np.array([int(model.actuator(name).id) for name in names], int)

    names = BLOCK_NAMES[: len(spec.blocks)]
    drawn = np.flatnonzero(model.geom_group == DRAWN_GROUP)
    row = {model.geom(int(g)).name: place for place, g in enumerate(drawn)}
    tints = [(name, index) for index, name in enumerate(names)]
    tints += [(mark.name, mark.palette) for mark in spec.marks if mark.palette >= 0]
    tints += [pair for kind in spec.fixtures for pair in FIXTURES[kind].tinted]
    slides = tuple(name for kind in spec.fixtures for name in FIXTURES[kind].slides)
    return Places(
        arms=tuple(joints(arm.joints) for arm in robot.arms),
        fingers=tuple(joints(arm.gripper.joints) for arm in robot.arms),
        arm_controls=tuple(controls(arm.joints) for arm in robot.arms),
        finger_controls=tuple(controls(arm.gripper.joints) for arm in robot.arms),
        blocks=tuple(address(name) for name in names),
        slides=joints(slides),
        drawn=drawn,
        tinted=(
            np.array([row[name] for name, _ in tints], int),
            np.array([index for _, index in tints], int),
        ),
    )
