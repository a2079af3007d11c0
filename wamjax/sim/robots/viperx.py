"""Two ViperX 300 S arms facing each other (ALOHA), from primitive geometry, as MJCF.

Kinematics, masses, inertias, joint ranges, gains (kp, damping, armature), force limits, finger
travel and the places of bases and wrist cameras are those of google-deepmind/mujoco_playground
(aloha/xmls/mjx_aloha.xml; mujoco_menagerie aloha, BSD-3). With the velocity feed-forward of
`physics` these gains follow well enough as they are: a tip told to move 3 cm per tick sideways lags
7 mm after the first tick from rest, 17 mm where it turns round, and less than 3 mm otherwise.

What differs: damping is the servo's kd (the published model has it in the joints, where kd / kp
gives the same law inside the force limits); the friction loss of shoulder and elbow (2.0 and 1.15
N m) is left out, because it costs the solver rows; the arms' weight is compensated (`gravcomp`).
Two contact spheres stand for each finger's face. Their contacts have solimp 0.98 0.99: at the
usual 0.9 0.95 a stick held at one end sinks by 45 degrees in a second, stiffer ones blow up.
"""

import dataclasses

import numpy as np

from wamjax.sim.robots.record import Arm, Gripper, Robot, Slab, View, numbers

SIDES = ("left", "right")
BASES = {
    "left": np.array([-0.469, -0.019, 0.02, 1, 0, 0, 0], np.float32),
    "right": np.array([0.469, -0.019, 0.02, 0, 0, 0, 1], np.float32),
}
BLACK = (0.17, 0.17, 0.19)
GREY = (0.42, 0.43, 0.46)
SILVER = (0.66, 0.67, 0.70)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inertia:
    """What a body weighs.

    Attributes:
        mass: kg.
        centre: m, centre of mass in the body's frame.
        principal: kg m^2.
        turn: quaternion wxyz of the principal axes.
    """

    mass: float
    centre: tuple[float, float, float]
    principal: tuple[float, float, float]
    turn: tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Link:
    """A body that a hinge turns, and the hinge's servo.

    Attributes:
        name: of the body.
        joint: name of the hinge.
        offset: m, in the parent's frame.
        axis: of the hinge.
        limits: rad.
        stiffness: kp, N m / rad.
        damping: kd, N m s / rad.
        armature: kg m^2.
        torque: N m.
        inertia: what it weighs.
        capsules: m, two end points and the radius of each that is drawn.
        colour: rgb in 0..1.
    """

    name: str
    joint: str
    offset: tuple[float, float, float]
    axis: tuple[float, float, float]
    limits: tuple[float, float]
    stiffness: float
    damping: float
    armature: float
    torque: float
    inertia: Inertia
    capsules: tuple[tuple[float, ...], ...]
    colour: tuple[float, float, float]


BASE = Inertia(
    mass=0.969034,
    centre=(-0.0534774, -0.000562575, 0.0205961),
    principal=(0.0071633, 0.00602451, 0.00169819),
    turn=(-0.00292324, 0.712517, 0.00480387, 0.701633),
)

LINKS = (
    Link(
        name="shoulder",
        joint="waist",
        offset=(0, 0, 0.079),
        axis=(0, 0, 1),
        limits=(-3.14158, 3.14158),
        stiffness=43,
        damping=5.76,
        armature=0.0,
        torque=35,
        inertia=Inertia(
            mass=0.798614,
            centre=(0.000259233, -3.3552e-6, 0.0116129),
            principal=(0.00120156, 0.00113744, 0.0009388),
            turn=(-0.476119, 0.476083, 0.52279, 0.522826),
        ),
        capsules=((0, -0.03, 0.045, 0, 0.03, 0.045, 0.042),),
        colour=GREY,
    ),
    Link(
        name="upper_arm",
        joint="shoulder",
        offset=(0, 0, 0.04805),
        axis=(0, 1, 0),
        limits=(-1.85005, 1.25664),
        stiffness=265,
        damping=20,
        armature=0.395,
        torque=144,
        inertia=Inertia(
            mass=0.792592,
            centre=(0.0206949, 0, 0.226459),
            principal=(0.00911338, 0.008925, 0.000759317),
            turn=(0, 0.0728458, 0, 0.997343),
        ),
        capsules=((0, 0, 0.02, 0, 0, 0.3, 0.028), (0, 0, 0.3, 0.05955, 0, 0.3, 0.03)),
        colour=BLACK,
    ),
    Link(
        name="upper_forearm",
        joint="elbow",
        offset=(0.05955, 0, 0.3),
        axis=(0, 1, 0),
        limits=(-1.76278, 1.6057),
        stiffness=227,
        damping=18.49,
        armature=0.383,
        torque=59,
        inertia=Inertia(
            mass=0.322228,
            centre=(0.105723, 0, 0),
            principal=(0.00144107, 0.00134228, 0.000152047),
            turn=(-0.000621631, 0.704724, 0.0105292, 0.709403),
        ),
        capsules=((0, -0.02, 0, 0, 0.02, 0, 0.033),),
        colour=GREY,
    ),
    Link(
        name="lower_forearm",
        joint="forearm_roll",
        offset=(0.2, 0, 0),
        axis=(1, 0, 0),
        limits=(-3.14158, 3.14158),
        stiffness=78,
        damping=6.78,
        armature=0.14,
        torque=22,
        inertia=Inertia(
            mass=0.414823,
            centre=(0.0513477, 0.00680462, 0),
            principal=(0.0005911, 0.000546493, 0.000155707),
            turn=(-0.702604, -0.0796724, -0.702604, 0.0796724),
        ),
        capsules=((-0.2, 0, 0, 0.09, 0, 0, 0.026),),
        colour=BLACK,
    ),
    Link(
        name="wrist",
        joint="wrist_angle",
        offset=(0.1, 0, 0),
        axis=(0, 1, 0),
        limits=(-1.8675, 2.23402),
        stiffness=37,
        damping=6.28,
        armature=0.008,
        torque=35,
        inertia=Inertia(
            mass=0.115395,
            centre=(0.046743, -7.6652e-6, 0.010565),
            principal=(5.45707e-5, 4.63101e-5, 4.32692e-5),
            turn=(-0.00100191, 0.544586, 0.0026583, 0.8387),
        ),
        capsules=((0, 0, 0, 0.06, 0, 0, 0.026),),
        colour=GREY,
    ),
    Link(
        name="gripper_link",
        joint="wrist_rotate",
        offset=(0.069744, 0, 0),
        axis=(1, 0, 0),
        limits=(-3.14158, 3.14158),
        stiffness=10.4,
        damping=1.2,
        armature=0.0,
        torque=35,
        inertia=Inertia(
            mass=0.251652,
            centre=(0.0395662, -2.56311e-7, 0.00400649),
            principal=(0.000689546, 0.000650316, 0.000468142),
            turn=(0.62033, 0.619916, -0.339682, 0.339869),
        ),
        capsules=(),
        colour=BLACK,
    ),
)

HAND_OFFSET = (0.035, 0.0, 0.0)
HAND_TURN = (0.5, -0.5, 0.5, -0.5)
"""The gripper's base: x along the finger slides, z out of the hand."""
HAND = Inertia(
    mass=0.42158,
    centre=(0.000182154, -0.0341589, -0.0106026),
    principal=(0.00110438, 0.000790537, 0.000469727),
    turn=(0.435286, 0.557074, -0.551539, 0.442718),
)
TIP_OFFSET = (0.13, 0.0, -0.003)
"""The tool point in the frame of the last link."""
TIP_TURNS = {
    "left": (0.0, 0.70710678, 0.0, 0.70710678),
    "right": (0.70710678, 0.0, 0.70710678, 0.0),
}
"""Pointing down, the x axes of both tips are the world's x axis."""

SHUT, WIDE = 0.002, 0.037
FINGER_STIFFNESS, FINGER_DAMPING, FINGER_ARMATURE, FINGER_FORCE = 365, 40, 0.243, 35
FINGER_OFFSETS = {
    "left": (0.0191, -0.0141637, 0.0211727),
    "right": (-0.0191, -0.0141637, 0.0211727),
}
FINGER_TURNS = {"left": (0.5, -0.5, -0.5, 0.5), "right": (0.5, 0.5, 0.5, 0.5)}
FINGERS = {
    "left": Inertia(
        mass=0.0862937,
        centre=(0.0143478, -0.0284791, 0.0122897),
        principal=(5.86848e-5, 4.46887e-5, 1.8397e-5),
        turn=(0.535486, 0.458766, -0.450407, 0.547651),
    ),
    "right": Inertia(
        mass=0.0862932,
        centre=(0.0143711, 0.0284792, 0.0121421),
        principal=(5.86828e-5, 4.46887e-5, 1.83949e-5),
        turn=(0.461317, 0.537615, -0.545478, 0.447894),
    ),
}
ALONG = {"left": -1.0, "right": 1.0}
"""Which way along its own y axis a finger points."""
INNER = FINGER_OFFSETS["left"][0] + SHUT
"""m, height (z) of a finger's inner face in its own frame: the faces meet when the slides shut."""
TIP_ACROSS = -FINGER_OFFSETS["left"][1] - TIP_OFFSET[2]
TIP_ALONG = TIP_OFFSET[0] - HAND_OFFSET[0] - FINGER_OFFSETS["left"][2]
"""m, where a finger's frame has the tool point: along x, and out along the finger."""
KNOB = (("", 0.008, 0.0),)
FACE = (("_near", 0.006, -0.012), ("_far", 0.006, 0.012))
"""Contact spheres of a finger: suffix, radius (m) and place across the finger (m) at the height of
the tool point. One knob pushes; two, side by side, hold a stick without letting it turn."""

WRIST_FOVY = 58.0
WRIST_CAMERA = 'pos="0 -0.0825 -0.0096" xyaxes="1 0 0 0 -0.906 0.423"'


def _drawn(kind: str, name: str, size: str, where: str, colour: tuple[float, ...]) -> str:
    return (
        f'<geom name="{name}" class="drawn" type="{kind}" size="{size}" {where} '
        f'rgba="{numbers(colour)} 1"/>'
    )


def _inertial(inertia: Inertia) -> str:
    return (
        f'<inertial pos="{numbers(inertia.centre)}" mass="{inertia.mass}" '
        f'diaginertia="{numbers(inertia.principal)}" quat="{numbers(inertia.turn)}"/>'
    )


def _finger(arm: str, side: str, grasping: bool) -> str:
    name, way = f"{arm}_finger_{side}", ALONG[side]
    half = (0.014, 0.047, 0.006)
    middle = (TIP_ACROSS, way * (TIP_ALONG + 0.008 - half[1]), INNER - half[2])
    box = _drawn("box", name, numbers(half), f'pos="{numbers(middle)}"', BLACK)
    spheres = "".join(
        f'<geom name="{arm}_pad_{side}{suffix}" class="contact" type="sphere" size="{radius}" '
        f'pos="{numbers((TIP_ACROSS + across, way * TIP_ALONG, INNER - radius))}"/>'
        for suffix, radius, across in (FACE if grasping else KNOB)
    )
    return (
        f'<body name="{name}" pos="{numbers(FINGER_OFFSETS[side])}" '
        f'quat="{numbers(FINGER_TURNS[side])}" gravcomp="1">{_inertial(FINGERS[side])}'
        f'<joint name="{name}" type="slide" axis="0 0 -1" armature="{FINGER_ARMATURE}"/>'
        f"{box}{spheres}</body>"
    )


def _hand(arm: str, grasping: bool) -> str:
    bar = 'fromto="0.055 0 0.015 -0.055 0 0.015"'
    return (
        f'<body name="{arm}_hand" pos="{numbers(HAND_OFFSET)}" quat="{numbers(HAND_TURN)}" '
        f'gravcomp="1">{_inertial(HAND)}{_drawn("capsule", f"{arm}_hand", "0.03", bar, SILVER)}'
        f'<camera name="wrist_{arm}" {WRIST_CAMERA} fovy="{WRIST_FOVY}"/>'
        f"{''.join(_finger(arm, side, grasping) for side in SIDES)}</body>"
    )


def _arm(arm: str, grasping: bool) -> str:
    inner = f'<site name="{arm}_tip" pos="{numbers(TIP_OFFSET)}"/>{_hand(arm, grasping)}'
    for link in reversed(LINKS):
        shapes = "".join(
            _drawn(
                "capsule",
                f"{arm}_{link.name}" + ("" if place == 0 else f"_{place}"),
                numbers(capsule[6:]),
                f'fromto="{numbers(capsule[:6])}"',
                link.colour,
            )
            for place, capsule in enumerate(link.capsules)
        )
        inner = (
            f'<body name="{arm}_{link.name}" pos="{numbers(link.offset)}" gravcomp="1">'
            f'{_inertial(link.inertia)}<joint name="{arm}_{link.joint}" '
            f'axis="{numbers(link.axis)}" armature="{link.armature}"/>{shapes}{inner}</body>'
        )
    base = BASES[arm]
    foot = _drawn("box", f"{arm}_base", "0.09 0.06 0.035", 'pos="-0.03 0 0.015"', BLACK)
    return (
        f'<body name="{arm}_base" pos="{numbers(base[:3])}" quat="{numbers(base[3:])}">'
        f"{_inertial(BASE)}{foot}{inner}</body>"
    )


def pads(grasping: bool) -> tuple[str, ...]:
    """Names of the contact spheres."""
    rows = FACE if grasping else KNOB
    return tuple(
        f"{arm}_pad_{side}{suffix}" for arm in SIDES for side in SIDES for suffix, _, _ in rows
    )


def body_xml(grasping: bool) -> str:
    """Both arms as nested MJCF bodies, a camera on each hand.

    Args:
        grasping: two contact spheres per finger instead of one.
    """
    return "".join(_arm(arm, grasping) for arm in SIDES)


def actuator_xml() -> str:
    """Position servos: per arm six joints (rad), then the two fingers (m).

    The joint limits are kept by inverse kinematics, not by constraints, which would cost a solver
    row each.
    """
    parts = []
    for arm in SIDES:
        parts.extend(
            f'<position name="{arm}_{link.joint}" joint="{arm}_{link.joint}" '
            f'kp="{link.stiffness}" kv="{link.damping}" '
            f'forcerange="{-link.torque} {link.torque}"/>'
            for link in LINKS
        )
        parts.extend(
            f'<position name="{arm}_finger_{side}" joint="{arm}_finger_{side}" '
            f'kp="{FINGER_STIFFNESS}" kv="{FINGER_DAMPING}" '
            f'forcerange="{-FINGER_FORCE} {FINGER_FORCE}" ctrlrange="{SHUT} {WIDE}"/>'
            for side in SIDES
        )
    return "".join(parts)


READY = np.array([0.0, -0.35, 0.75, 0.0, 1.17, 0.0])
"""A bent pose with the hand pointing down over the table, where inverse kinematics starts."""
SPEED = np.full(len(LINKS), 3.14)
"""rad/s, what the manufacturer's driver allows every joint."""


def _chain(arm: str) -> Arm:
    count = len(LINKS)
    return Arm(
        joints=tuple(f"{arm}_{link.joint}" for link in LINKS),
        links=tuple(f"{arm}_{link.name}" for link in LINKS),
        base=BASES[arm],
        offsets=np.array([link.offset for link in LINKS], np.float32),
        turns=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        axes=np.array([link.axis for link in LINKS], np.float32),
        tip_offset=np.array(TIP_OFFSET, np.float32),
        tip_turn=np.array(TIP_TURNS[arm], np.float32),
        lower=np.array([link.limits[0] for link in LINKS]),
        upper=np.array([link.limits[1] for link in LINKS]),
        speed=SPEED,
        lead=np.array([link.damping / link.stiffness for link in LINKS]),
        ready=READY,
        gripper=Gripper(
            body=f"{arm}_hand",
            hand_offset=np.array(HAND_OFFSET, np.float32),
            hand_turn=np.array(HAND_TURN, np.float32),
            joints=(f"{arm}_finger_left", f"{arm}_finger_right"),
            offsets=np.array([FINGER_OFFSETS[side] for side in SIDES], np.float32),
            turns=np.array([FINGER_TURNS[side] for side in SIDES], np.float32),
            axes=np.tile(np.array([0, 0, -1], np.float32), (2, 1)),
            shut=SHUT,
            wide=WIDE,
        ),
    )


CASTERS = ("lower_forearm", "wrist", "hand", "finger_left", "finger_right")

VIPERX = Robot(
    name="aloha",
    arms=(_chain("left"), _chain("right")),
    bodies=body_xml,
    actuators=actuator_xml,
    pads=pads,
    cameras=("primary", "wrist_left", "wrist_right"),
    wrist_fovy=WRIST_FOVY,
    view=View(position=(0.0, -0.95, 0.95), target=(0.0, 0.0, 0.16), fovy=52.0),
    table=Slab(centre=(0.0, 0.0, -0.025), half=(0.61, 0.37, 0.025)),
    wall=Slab(centre=(0.0, 1.2, 1.0), half=(3.0, 0.05, 2.0)),
    workspace=((-0.34, -0.26, 0.009), (0.34, 0.26, 0.40)),
    region=((-0.22, -0.20), (0.22, 0.20)),
    casters=("table", *(f"{arm}_{name}" for arm in SIDES for name in CASTERS)),
)
