"""Franka Emika Panda from primitive geometry: published kinematics, masses and limits as MJCF.

Every joint turns about the z axis of its own link. Offsets, masses and inertias are those of the
manufacturer's description (google-deepmind/mujoco_menagerie franka_emika_panda/panda.xml). From
panda.xml are also kp (4500 4500 3500 3500 2000 2000 2000), the force limits 87 and 12 N m,
armature 0.1 and joint damping 1, but kd is 135 135 105 105 40 40 40, near critical damping for the
arm's inertia, instead of kp / 10, which lags 0.1 s. The softer gains of mjx_panda.xml are not used.
As on the real arm, the controller compensates the weight of the links (`gravcomp`). The tool point
("tip") lies between the finger tips, 0.1034 m from the hand.
"""

import dataclasses

import numpy as np

from wamjax.sim.robots.record import Arm, Gripper, Robot, Slab, View, numbers

ARM_JOINTS = 7
TIP_OFFSET = 0.1034
FINGER_TRAVEL = 0.04

LOWER = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
UPPER = np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])
SPEED = np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])
TORQUE = np.array([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0])
STIFFNESS = np.array([4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0])
DAMPING = np.array([135.0, 135.0, 105.0, 105.0, 40.0, 40.0, 40.0])
READY = np.array([0.0, 0.1, 0.0, -2.2, 0.0, 2.3, 0.7853982])
"""A bent pose with the hand pointing down over the table, where inverse kinematics starts."""

WHITE = (0.902, 0.922, 0.929)
BLACK = (0.25, 0.25, 0.25)
BLUE = (0.039, 0.541, 0.780)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Link:
    """One link: where it sits in its parent, what it weighs, how it is drawn.

    Attributes:
        offset: m, in the parent's frame.
        quaternion: wxyz, not normalised.
        mass: kg.
        centre: m, centre of mass in the link's frame.
        inertia: kg m^2, xx yy zz xy xz yz about the centre of mass.
        capsule: m, two end points in the link's frame and the radius.
        colour: rgb in 0..1.
    """

    offset: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    mass: float
    centre: tuple[float, float, float]
    inertia: tuple[float, float, float, float, float, float]
    capsule: tuple[float, ...]
    colour: tuple[float, float, float]


BASE = Link(
    offset=(0, 0, 0),
    quaternion=(1, 0, 0, 0),
    mass=0.629769,
    centre=(-0.041018, -0.00014, 0.049974),
    inertia=(0.00315, 0.00388, 0.004285, 8.29e-7, 0.00015, 8.23e-6),
    capsule=(0, 0, 0.03, 0, 0, 0.22, 0.075),
    colour=WHITE,
)

LINKS = (
    Link(
        offset=(0, 0, 0.333),
        quaternion=(1, 0, 0, 0),
        mass=4.970684,
        centre=(0.003875, 0.002081, -0.04762),
        inertia=(0.70337, 0.70661, 0.009117, -0.000139, 0.006772, 0.019169),
        capsule=(0, 0, -0.1, 0, 0, 0, 0.068),
        colour=WHITE,
    ),
    Link(
        offset=(0, 0, 0),
        quaternion=(1, -1, 0, 0),
        mass=0.646926,
        centre=(-0.003141, -0.02872, 0.003495),
        inertia=(0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704),
        capsule=(0, 0, 0, 0, -0.24, 0, 0.06),
        colour=WHITE,
    ),
    Link(
        offset=(0, -0.316, 0),
        quaternion=(1, 1, 0, 0),
        mass=3.228604,
        centre=(0.027518, 0.039252, -0.066502),
        inertia=(0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805),
        capsule=(0, 0, -0.04, 0.0825, 0, 0, 0.056),
        colour=BLACK,
    ),
    Link(
        offset=(0.0825, 0, 0),
        quaternion=(1, 1, 0, 0),
        mass=3.587895,
        centre=(-0.05317, 0.104419, 0.027454),
        inertia=(0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641),
        capsule=(-0.0825, 0.08, 0, -0.0825, 0.3, 0, 0.055),
        colour=WHITE,
    ),
    Link(
        offset=(-0.0825, 0.384, 0),
        quaternion=(1, -1, 0, 0),
        mass=1.225946,
        centre=(-0.011953, 0.041065, -0.038437),
        inertia=(0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229),
        capsule=(0, 0, -0.06, 0, 0, 0, 0.052),
        colour=BLACK,
    ),
    Link(
        offset=(0, 0, 0),
        quaternion=(1, 1, 0, 0),
        mass=1.666555,
        centre=(0.060149, -0.014117, -0.010517),
        inertia=(0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341),
        capsule=(0.01, 0, 0, 0.088, 0, 0, 0.05),
        colour=WHITE,
    ),
    Link(
        offset=(0.088, 0, 0),
        quaternion=(1, 1, 0, 0),
        mass=0.735522,
        centre=(0.010517, -0.004252, 0.061597),
        inertia=(0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741),
        capsule=(0, 0, 0.04, 0, 0, 0.08, 0.045),
        colour=WHITE,
    ),
)

HAND_OFFSET = (0.0, 0.0, 0.107)
HAND_QUATERNION = (0.9238795, 0.0, 0.0, -0.3826834)
FINGER_OFFSET = (0.0, 0.0, 0.0584)
SIDES = ("left", "right")
WRIST_FOVY = 80.0
WRIST_CAMERA = (
    f'<camera name="wrist" pos="0.075 0 0.02" xyaxes="0 1 0 0.94 0 0.34" fovy="{WRIST_FOVY}"/>'
)
KNOB = (("", 0.0095, 0.044),)
FACE = (("_low", 0.006, 0.0365), ("_high", 0.006, 0.0515))
"""Contact spheres of a finger: suffix, radius (m) and place along the finger (m). One knob pushes;
two, one above the other, hold a flat face without letting it turn."""


def _drawn(kind: str, name: str, size: str, where: str, colour: tuple[float, ...]) -> str:
    return (
        f'<geom name="{name}" class="drawn" type="{kind}" {size} {where} '
        f'rgba="{numbers(colour)} 1"/>'
    )


def _capsule(name: str, link: Link) -> str:
    ends, radius = link.capsule[:6], link.capsule[6]
    where = f'fromto="{numbers(ends)}"'
    return _drawn("capsule", name, f'size="{radius}"', where, link.colour)


def _inertial(link: Link) -> str:
    return (
        f'<inertial pos="{numbers(link.centre)}" mass="{link.mass}" '
        f'fullinertia="{numbers(link.inertia)}"/>'
    )


def _finger(side: str, quaternion: str, grasping: bool) -> str:
    box = _drawn(
        "box", f"finger_{side}", 'size="0.0105 0.0085 0.026"', 'pos="0 0.0085 0.0275"', BLACK
    )
    spheres = "".join(
        f'<geom name="pad_{side}{suffix}" class="contact" type="sphere" size="{radius}" '
        f'pos="0 {radius} {place}"/>'
        for suffix, radius, place in (FACE if grasping else KNOB)
    )
    return (
        f'<body name="finger_{side}" pos="{numbers(FINGER_OFFSET)}" quat="{quaternion}" '
        f'gravcomp="1">'
        f'<inertial pos="0 0 0" mass="0.015" diaginertia="2.375e-6 2.375e-6 7.5e-7"/>'
        f'<joint name="finger_{side}" type="slide" axis="0 1 0" damping="10" armature="0.1"/>'
        f"{box}{spheres}</body>"
    )


def pads(grasping: bool) -> tuple[str, ...]:
    """Names of the contact spheres."""
    rows = FACE if grasping else KNOB
    return tuple(f"pad_{side}{suffix}" for side in SIDES for suffix, _, _ in rows)


def body_xml(grasping: bool) -> str:
    """The arm as nested MJCF bodies, the base at the world's origin, a camera on the hand.

    Args:
        grasping: two contact spheres per finger instead of one.
    """
    hand = _drawn("box", "hand", 'size="0.02 0.1025 0.033"', 'pos="0 0 0.033"', WHITE)
    inner = (
        f'<body name="hand" pos="{numbers(HAND_OFFSET)}" quat="{numbers(HAND_QUATERNION)}" '
        f'gravcomp="1">'
        f'<inertial pos="-0.01 0 0.03" mass="0.73" diaginertia="0.001 0.0025 0.0017"/>'
        f'{hand}<site name="tip" pos="0 0 {TIP_OFFSET}"/>{WRIST_CAMERA}'
        f"{_finger('left', '1 0 0 0', grasping)}{_finger('right', '0 0 0 1', grasping)}</body>"
    )
    for index in reversed(range(ARM_JOINTS)):
        link = LINKS[index]
        inner = (
            f'<body name="link{index + 1}" pos="{numbers(link.offset)}" '
            f'quat="{numbers(link.quaternion)}" gravcomp="1">{_inertial(link)}'
            f'<joint name="joint{index + 1}" axis="0 0 1" damping="1" armature="0.1"/>'
            f"{_capsule(f'link{index + 1}', link)}{inner}</body>"
        )
    return f'<body name="link0">{_inertial(BASE)}{_capsule("link0", BASE)}{inner}</body>'


def actuator_xml() -> str:
    """Position servos: seven joints (rad), then the two fingers (m).

    The joint limits are kept by inverse kinematics, not by constraints, which would cost a solver
    row each.
    """
    parts = []
    for index in range(ARM_JOINTS):
        parts.append(
            f'<position name="joint{index + 1}" joint="joint{index + 1}" kp="{STIFFNESS[index]}" '
            f'kv="{DAMPING[index]}" forcerange="{-TORQUE[index]} {TORQUE[index]}"/>'
        )
    parts.extend(
        f'<position name="finger_{side}" joint="finger_{side}" kp="350" kv="25" '
        f'forcerange="-100 100" ctrlrange="0 {FINGER_TRAVEL}"/>'
        for side in ("left", "right")
    )
    return "".join(parts)


def _unit(quaternions: list[tuple[float, ...]]) -> np.ndarray:
    array = np.array(quaternions, np.float32)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


PANDA = Robot(
    name="panda",
    arms=(
        Arm(
            joints=tuple(f"joint{i + 1}" for i in range(ARM_JOINTS)),
            links=tuple(f"link{i + 1}" for i in range(ARM_JOINTS)),
            base=np.array([0, 0, 0, 1, 0, 0, 0], np.float32),
            offsets=np.array([link.offset for link in LINKS], np.float32),
            turns=_unit([link.quaternion for link in LINKS]),
            axes=np.tile(np.array([0, 0, 1], np.float32), (ARM_JOINTS, 1)),
            tip_offset=np.array([0, 0, HAND_OFFSET[2] + TIP_OFFSET], np.float32),
            tip_turn=np.array(HAND_QUATERNION, np.float32),
            lower=LOWER,
            upper=UPPER,
            speed=SPEED,
            lead=DAMPING / STIFFNESS,
            ready=READY,
            gripper=Gripper(
                body="hand",
                hand_offset=np.array(HAND_OFFSET, np.float32),
                hand_turn=np.array(HAND_QUATERNION, np.float32),
                joints=("finger_left", "finger_right"),
                offsets=np.array([FINGER_OFFSET, FINGER_OFFSET], np.float32),
                turns=np.array([[1, 0, 0, 0], [0, 0, 0, 1]], np.float32),
                axes=np.array([[0, 1, 0], [0, 1, 0]], np.float32),
                shut=0.0,
                wide=FINGER_TRAVEL,
            ),
        ),
    ),
    bodies=body_xml,
    actuators=actuator_xml,
    pads=pads,
    cameras=("primary", "wrist"),
    wrist_fovy=WRIST_FOVY,
    view=View(position=(1.05, 0.16, 0.64), target=(0.46, 0.0, 0.1), fovy=39.0),
    table=Slab(centre=(0.35, 0.0, -0.025), half=(0.6, 0.65, 0.025)),
    wall=Slab(centre=(-1.2, 0.0, 1.0), half=(0.05, 3.0, 2.0)),
    workspace=((0.28, -0.40, 0.022), (0.76, 0.40, 0.50)),
    region=((0.33, -0.30), (0.72, 0.30)),
    casters=("link5", "link6", "link7", "hand", "finger_left", "finger_right"),
)
