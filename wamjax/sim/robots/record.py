"""What a robot is to the worlds: arms as chains of hinges with a gripper, and MJCF that agrees.

An arm is the chain of its hinge joints, base first. Joint i sits at `offset` and `turn` in the
frame of joint i - 1 (of the base for the first), and turns about `axis` of its own frame. The tool
point ("tip") is fixed to the last joint's frame.
"""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Gripper:
    """Two fingers on slides that move in mirror image.

    Attributes:
        body: MJCF name of the body that carries both.
        hand_offset: m, that body in the last joint's frame.
        hand_turn: quaternion wxyz of that body.
        joints: MJCF names of the slides; bodies, joints and actuators share them.
        offsets: m, [2, 3], the fingers in the hand's frame when their slides are at 0.
        turns: quaternions wxyz [2, 4].
        axes: [2, 3], the slides in the fingers' frames.
        shut: slide position of the closed gripper, m.
        wide: slide position of the open gripper, m.
    """

    body: str
    hand_offset: np.ndarray
    hand_turn: np.ndarray
    joints: tuple[str, str]
    offsets: np.ndarray
    turns: np.ndarray
    axes: np.ndarray
    shut: float
    wide: float


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Arm:
    """One arm with J joints.

    Attributes:
        joints: MJCF names; links, joints and actuators share an index.
        links: MJCF names of the bodies that the joints turn.
        base: m and quaternion wxyz of the base in the world, [7].
        offsets: m, [J, 3].
        turns: quaternions wxyz [J, 4].
        axes: unit vectors [J, 3].
        tip_offset: m, [3], in the last joint's frame.
        tip_turn: quaternion wxyz; the tip's x across the gap, y along the fingers' slides, z out.
        lower: rad, [J].
        upper: rad, [J].
        speed: rad/s, [J].
        lead: s, [J], kd / kp of the servos.
        ready: rad, [J], where inverse kinematics starts.
        gripper: the fingers.
    """

    joints: tuple[str, ...]
    links: tuple[str, ...]
    base: np.ndarray
    offsets: np.ndarray
    turns: np.ndarray
    axes: np.ndarray
    tip_offset: np.ndarray
    tip_turn: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    speed: np.ndarray
    lead: np.ndarray
    ready: np.ndarray
    gripper: Gripper


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """A fixed third-person camera.

    Attributes:
        position: m.
        target: m, what it looks at.
        fovy: degrees.
    """

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fovy: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slab:
    """A box that stands still.

    Attributes:
        centre: m.
        half: m, half sizes.
    """

    centre: tuple[float, float, float]
    half: tuple[float, float, float]


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Robot:
    """One or two arms of the same kind on a table.

    Attributes:
        name: as scenes call it.
        arms: left to right as the actions are.
        bodies: (pads that grasp) -> MJCF of all arms with their wrist cameras.
        actuators: () -> MJCF.
        pads: (pads that grasp) -> names of the contact spheres on the fingers.
        cameras: primary first, then a wrist camera per arm.
        wrist_fovy: degrees.
        view: where the primary camera stands.
        table: what is drawn as the table, its top at z = 0.
        wall: what is drawn behind it.
        workspace: m, lowest and highest corner that the tips may reach.
        region: m, lowest and highest corner (x, y) where things may stand.
        casters: geoms that cast shadows.
    """

    name: str
    arms: tuple[Arm, ...]
    bodies: Callable[[bool], str]
    actuators: Callable[[], str]
    pads: Callable[[bool], tuple[str, ...]]
    cameras: tuple[str, ...]
    wrist_fovy: float
    view: View
    table: Slab
    wall: Slab
    workspace: tuple[tuple[float, float, float], tuple[float, float, float]]
    region: tuple[tuple[float, float], tuple[float, float]]
    casters: tuple[str, ...]


def numbers(values: tuple[float, ...] | np.ndarray) -> str:
    """Values as an MJCF attribute."""
    return " ".join(f"{value:.9g}" for value in values)
