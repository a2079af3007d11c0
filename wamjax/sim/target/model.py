"""The target's model: the same scene as MJCF, with other physics, and the table of differences.

Nothing of training's simulator is used: C MuJoCo with a finer step and elliptic friction cones
steps a model whose contacts, masses, servos and delays differ from those that demonstrations and
domain randomisation come from. Task, layout, robot kinematics and control law are the same.
"""

import dataclasses
import functools
import math

import mujoco

from wamjax.sim import scene
from wamjax.sim.robots.registry import find_robot
from wamjax.sim.scene import SceneSpec
from wamjax.sim.target.drawing import paint


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reality:
    """What differs; factors are on training's nominal values. `DIFFERENCES` says each in words."""

    timestep: float = 0.001
    iterations: int = 50
    impratio: float = 5.0
    contact_time: float = 0.008
    friction: float = 0.8
    torsion: float = 0.01
    mass: float = 1.2
    stiffness: float = 0.7
    damping: float = 0.8
    grip: float = 0.7
    joint_friction: float = 0.6
    compensation: float = 0.97
    delay: float = 0.03
    camera_turn: float = 2.0
    camera_shift: float = 0.01
    camera_fovy: float = 1.03
    wrist_turn: float = 2.0
    wrist_shift: float = 0.004
    wrist_fovy: float = 0.97


REALITY = Reality()

DIFFERENCES: tuple[tuple[str, str, str], ...] = (
    ("timestep", "physics step, s", f"{scene.TIMESTEP:g}"),
    ("iterations", "solver iterations", f"{scene.ITERATIONS}"),
    ("impratio", "ratio of frictional to normal impedance (cone elliptic, was pyramidal)", "1"),
    ("contact_time", "time constant of contacts, s", "0.02"),
    ("friction", "sliding friction of every contact, factor", "1"),
    ("torsion", "torsional friction of the fingers, m (solid boxes, were spheres)", "none"),
    ("mass", "masses and inertias of the blocks, factor", "1"),
    ("stiffness", "kp of the arm's servos, factor", "1"),
    ("damping", "kd of the arm's servos, factor", "1"),
    ("grip", "kp and kd of the fingers' servos, factor", "1"),
    ("joint_friction", "Coulomb friction of the arm's joints, N m", "0"),
    ("compensation", "share of the links' weight that the controller carries", "1"),
    ("delay", "from command to servo, s", "0"),
    ("camera_turn", "error of the primary camera's direction, degrees", "0"),
    ("camera_shift", "error of the primary camera's place, m", "0"),
    ("camera_fovy", "field of view of the primary camera, factor", "1"),
    ("wrist_turn", "error of the wrist cameras' direction, degrees", "0"),
    ("wrist_shift", "error of the wrist cameras' place, m", "0"),
    ("wrist_fovy", "field of view of the wrist cameras, factor", "1"),
)
"""Field of `Reality`, what it is, and training's value."""


def difference_table(reality: Reality = REALITY) -> str:
    """All differences as a Markdown table."""
    values = dataclasses.asdict(reality)
    rows = [f"| {what} | {before} | {values[name]:g} |" for name, what, before in DIFFERENCES]
    return "\n".join(["| what | training | target |", "|---|---|---|", *rows])


@functools.cache
def build_target(spec: SceneSpec, reality: Reality = REALITY) -> mujoco.MjModel:
    """The compiled model; joints and actuators have the order and the names of `scene`'s."""
    parsed = mujoco.MjSpec.from_string(scene.scene_xml(spec))
    _set_options(parsed, reality)
    _set_contacts(parsed, spec, reality)
    _set_robot(parsed, spec, reality)
    paint(parsed, spec, math.radians(reality.wrist_turn), reality.wrist_shift, reality.wrist_fovy)
    model = parsed.compile()
    names = scene.BLOCK_NAMES[: len(spec.blocks)]
    bodies = [int(model.body(name).id) for name in names]
    model.body_mass[bodies] *= reality.mass
    model.body_inertia[bodies] *= reality.mass
    return model


def _set_options(parsed: mujoco.MjSpec, reality: Reality) -> None:
    option = parsed.option
    option.timestep = reality.timestep
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = reality.impratio
    option.iterations, option.ls_iterations = reality.iterations, reality.iterations
    # A world that blows up is seen and held by whoever steps it, not started anew in silence.
    option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)


def _set_contacts(parsed: mujoco.MjSpec, spec: SceneSpec, reality: Reality) -> None:
    """Solid fingers, cubes that meet as cubes, slippery and harder contacts."""
    pads = _solid_fingers(parsed, find_robot(spec.robot).pads(spec.grasping))
    met = set()
    for pair in list(parsed.pairs):
        names = [str(pair.geomname1), str(pair.geomname2)]
        names = [str(pads.get(name, name)).replace("_core", "_hull") for name in names]
        if frozenset(names) in met:
            parsed.delete(pair)
            continue
        met.add(frozenset(names))
        pair.geomname1, pair.geomname2 = names
        friction = pair.friction.copy()
        friction[:2] *= reality.friction
        if any(name in pads.values() for name in names):
            pair.condim = 4
            friction[2] = reality.torsion
        pair.friction = friction
        pair.solref = [reality.contact_time, 1.0]


def _solid_fingers(parsed: mujoco.MjSpec, pads: tuple[str, ...]) -> dict[str, str]:
    """Fingers that touch with the box they are drawn as, not with spheres on its inside.

    Returns:
        name of a contact sphere -> name of the geom that touches in its place.
    """
    instead = {}
    for body in parsed.bodies:
        own = [geom for geom in body.geoms if geom.name in pads]
        if not own:
            continue
        shapes = [
            geom
            for geom in body.geoms
            if geom.group == scene.DRAWN_GROUP and geom.type == mujoco.mjtGeom.mjGEOM_BOX
        ]
        for geom in own:
            instead[geom.name] = own[0].name if shapes else geom.name
        if shapes:
            own[0].type, own[0].size = shapes[0].type, shapes[0].size.copy()
            own[0].pos, own[0].quat = shapes[0].pos.copy(), shapes[0].quat.copy()
    return instead


def _set_robot(parsed: mujoco.MjSpec, spec: SceneSpec, reality: Reality) -> None:
    robot = find_robot(spec.robot)
    joints = {name for arm in robot.arms for name in arm.joints}
    fingers = {name for arm in robot.arms for name in arm.gripper.joints}
    for joint in parsed.joints:
        if joint.name in joints:
            joint.frictionloss = reality.joint_friction
    for body in parsed.bodies:
        body.gravcomp *= reality.compensation
    for actuator in parsed.actuators:
        gains = (reality.stiffness, reality.damping)
        if actuator.name in fingers:
            gains = (reality.grip, reality.grip)
        gain, bias = actuator.gainprm.copy(), actuator.biasprm.copy()
        gain[0] *= gains[0]
        bias[1:3] *= gains
        actuator.gainprm, actuator.biasprm = gain, bias
