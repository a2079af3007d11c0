"""Two implementations of the same physics behind one function: MJX, and C MuJoCo on host threads.

    (position, velocity, warmstart) -> SUBSTEPS physics steps under a ramp of controls

MJX is part of the compiled program and runs on every accelerator. C MuJoCo steps all worlds of a
batch in one host call, on as many threads as there are cores, about ten times faster than MJX on a
CPU and useless beside an accelerator. Both read the same model. Over one second of the stack
expert's and of random actions they agree within 1e-5 (rad of the joints, m and quaternions of the
blocks; measured 2e-6), and within 1 mm of the cubes' places over a grasp and a release.
"""

import copy
import functools
import os
import threading
from typing import Any, Literal, get_args

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import mujoco.rollout
import numpy as np
from jax.experimental.buffer_callback import buffer_callback

from wamjax.core.errors import UserError
from wamjax.core.typing import Array
from wamjax.sim import scene
from wamjax.sim.dynamics import Dynamics, nominal_factors
from wamjax.sim.scene import SceneSpec
from wamjax.sim.simulators import mjx

Physics = Literal["mjx", "c", "auto"]
Resolved = Literal["mjx", "c"]
PHYSICS: tuple[Physics, ...] = get_args(Physics)
HUGE = 1e9
"""A world with a number beyond this, or none at all, has blown up; MuJoCo's own limit is 1e10."""
CONTROL = (
    mujoco.mjtState.mjSTATE_CTRL,
    mujoco.mjtState.mjSTATE_MOCAP_POS,
    mujoco.mjtState.mjSTATE_MOCAP_QUAT,
)


@flax.struct.dataclass
class Motion:
    """What physics changes.

    Attributes:
        position: float32 [q], MuJoCo's qpos.
        velocity: float32 [v], MuJoCo's qvel.
        warmstart: float32 [v], the solver's last accelerations (MJX only).
    """

    position: Array
    velocity: Array
    warmstart: Array


def resolve(physics: Physics) -> Resolved:
    """What "auto" means here: C on a CPU, where it is about ten times faster, else MJX.

    Raises:
        UserError: there is no such implementation.
    """
    if physics not in PHYSICS:
        raise UserError(f"physics {physics!r} does not exist; known: {', '.join(PHYSICS)}.")
    if physics == "auto":
        return "c" if jax.default_backend() == "cpu" else "mjx"
    return physics


def substeps(
    physics: Resolved,
    spec: SceneSpec,
    motion: Motion,
    controls: Array,
    fixtures: Array,
    dynamics: Dynamics,
) -> Motion:
    """The physics steps of one control tick.

    Args:
        physics: which implementation, static.
        spec: which model, static.
        motion: before.
        controls: float32 [SUBSTEPS, u], one row per physics step.
        fixtures: float32 [F, 7], places (m) and quaternions of the mocap bodies.
        dynamics: factors on the model.
    """
    match physics:
        case "mjx":
            return _substeps_mjx(spec, motion, controls, fixtures, dynamics)
        case "c":
            return _substeps_c(spec, motion, controls, fixtures, dynamics)


@functools.cache
def _mjx_model(spec: SceneSpec) -> tuple[mjx.Model, mjx.Data]:
    """The model and blank data, as constants of whatever program uses them."""
    model = scene.build_physics_model(spec)
    data = mujoco.MjData(model)
    with jax.ensure_compile_time_eval():
        return mjx.put_model(model, impl="jax"), mjx.put_data(model, data, impl="jax")


def _block_bodies(spec: SceneSpec) -> np.ndarray:
    model = scene.build_physics_model(spec)
    names = scene.BLOCK_NAMES[: len(spec.blocks)]
    return np.array([int(model.body(name).id) for name in names], int)


def _fixture_bodies(spec: SceneSpec) -> np.ndarray:
    model = scene.build_physics_model(spec)
    return np.array([int(model.body(kind).id) for kind in spec.fixtures], int)


def _substeps_mjx(
    spec: SceneSpec, motion: Motion, controls: Array, fixtures: Array, dynamics: Dynamics
) -> Motion:
    model, blank = _mjx_model(spec)
    heavy = jnp.ones(model.nbody).at[_block_bodies(spec)].set(dynamics.mass)
    sliding = jnp.array([1.0, 1.0, 0.0, 0.0, 0.0])
    slip = 1.0 + (dynamics.friction - 1.0) * sliding
    model = model.replace(
        body_mass=model.body_mass * heavy,
        body_inertia=model.body_inertia * heavy[:, None],
        body_invweight0=model.body_invweight0 / heavy[:, None],
        pair_friction=model.pair_friction * slip,
        actuator_gainprm=model.actuator_gainprm * dynamics.gains,
        actuator_biasprm=model.actuator_biasprm * dynamics.gains,
    )
    moved = {}
    if spec.fixtures:
        # MJX places the children of a mocap body by the model's pose of it, so both are written.
        bodies = _fixture_bodies(spec)
        model = model.replace(
            body_pos=model.body_pos.at[bodies].set(fixtures[:, :3]),
            body_quat=model.body_quat.at[bodies].set(fixtures[:, 3:]),
        )
        moved = {"mocap_pos": fixtures[:, :3], "mocap_quat": fixtures[:, 3:]}

    # Only what changes is carried: under vmap, constants in the carry cost more traces of MJX.
    def substep(carry: tuple, control: Array) -> tuple[tuple, None]:
        position, velocity, warmstart = carry
        data = blank.replace(
            qpos=position, qvel=velocity, qacc_warmstart=warmstart, ctrl=control, **moved
        )
        data = mjx.step(_saturated(spec, model, data), data)
        return (data.qpos, data.qvel, data.qacc_warmstart), None

    carry = (motion.position, motion.velocity, motion.warmstart)
    (position, velocity, warmstart), _ = jax.lax.scan(substep, carry, controls)
    return Motion(position=position, velocity=velocity, warmstart=warmstart)


def _saturated(spec: SceneSpec, model: mjx.Model, data: mjx.Data) -> mjx.Model:
    """The model with every servo that is at its force limit replaced by that constant force.

    MJX's implicit integrator counts the damping of a servo whose force is clipped, C MuJoCo's does
    not; a wrist that starts fast would fall a tenth of its way behind.
    """
    host = scene.build_physics_model(spec)
    joint = host.actuator_trnid[:, 0]
    gain, bias = model.actuator_gainprm, model.actuator_biasprm
    length, speed = data.qpos[host.jnt_qposadr[joint]], data.qvel[host.jnt_dofadr[joint]]
    force = gain[:, 0] * data.ctrl + bias[:, 0] + bias[:, 1] * length + bias[:, 2] * speed
    low, high = host.actuator_forcerange.T
    full = (((force <= low) | (force >= high)) & (host.actuator_forcelimited == 1))[:, None]
    constant = jnp.zeros_like(bias).at[:, 0].set(jnp.clip(force, low, high))
    return model.replace(
        actuator_gainprm=jnp.where(full, 0.0, gain),
        actuator_biasprm=jnp.where(full, constant, bias),
    )


def _substeps_c(
    spec: SceneSpec, motion: Motion, controls: Array, fixtures: Array, dynamics: Dynamics
) -> Motion:
    # Not `jax.pure_callback`, whose arguments are copied by the threads that a program on several
    # CPU devices has waiting for each other: beyond 100 kB it never returns.
    shapes = tuple(
        jax.ShapeDtypeStruct(leaf.shape, jnp.float32) for leaf in (motion.position, motion.velocity)
    )
    call = buffer_callback(functools.partial(_call, spec), shapes, vmap_method="broadcast_all")
    position, velocity = call(motion.position, motion.velocity, controls, fixtures, dynamics)
    return Motion(position=position, velocity=velocity, warmstart=motion.warmstart)


def _call(spec: SceneSpec, context: Any, results: tuple, *arguments: Any) -> None:
    """`_host` on buffers of the program; `results` are written."""
    del context
    given = jax.tree.map(np.asarray, arguments)
    for result, value in zip(results, _shared(spec, given), strict=True):
        np.asarray(result)[...] = value


_IN_USE = threading.Lock()
"""The pool and its scratch space serve one batch at a time; programs may call from many threads."""
_LAST: dict[SceneSpec, tuple[bytes, tuple[np.ndarray, np.ndarray]]] = {}


def _shared(spec: SceneSpec, given: tuple) -> tuple[np.ndarray, np.ndarray]:
    """`_host`; a program on several devices has all worlds on each, and the first does the work."""
    key = b"".join(leaf.tobytes() for leaf in jax.tree.leaves(given))
    with _IN_USE:
        if spec not in _LAST or _LAST[spec][0] != key:
            _LAST[spec] = key, _host(spec, *given)
        return _LAST[spec][1]


def threads() -> int:
    """Host threads for C physics: one per core that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


@functools.cache
def _pool() -> mujoco.rollout.Rollout:
    return mujoco.rollout.Rollout(nthread=threads())


@functools.cache
def _datas(spec: SceneSpec) -> list[mujoco.MjData]:
    model = scene.build_physics_model(spec)
    return [mujoco.MjData(model) for _ in range(threads())]


def _host(
    spec: SceneSpec,
    position: np.ndarray,
    velocity: np.ndarray,
    controls: np.ndarray,
    fixtures: np.ndarray,
    dynamics: Dynamics,
) -> tuple[np.ndarray, np.ndarray]:
    """SUBSTEPS steps of C MuJoCo for any leading axes, in one call."""
    model = scene.build_physics_model(spec)
    lead = np.shape(position)[:-1]
    count, q, v = int(np.prod(lead)), model.nq, model.nv
    position = np.asarray(position, np.float64).reshape(count, q)
    velocity = np.asarray(velocity, np.float64).reshape(count, v)
    steps = np.shape(controls)[-2]
    ramp = np.asarray(controls, np.float64).reshape(count, steps, model.nu)
    if spec.fixtures:
        placed = np.asarray(fixtures, np.float64).reshape(count, 1, len(spec.fixtures), 7)
        placed = np.broadcast_to(placed, (count, steps, len(spec.fixtures), 7))
        where, turned = placed[..., :3], placed[..., 3:]
        ramp = np.concatenate(
            [ramp, where.reshape(count, steps, -1), turned.reshape(count, steps, -1)], axis=-1
        )
    # MuJoCo would warn of a world that has blown up and start it anew; it is held instead.
    told = np.concatenate([position, velocity, ramp.reshape(count, -1)], axis=1)
    sound: np.ndarray = np.all(np.abs(told) < HUGE, axis=1)
    position = np.where(sound[:, None], position, model.qpos0)
    velocity = np.where(sound[:, None], velocity, 0.0)
    initial = np.concatenate([np.zeros((count, 1)), position, velocity], axis=1)
    states: Any = _pool().rollout(
        _models(spec, dynamics, count),
        _datas(spec),
        initial,
        control=np.where(sound[:, None, None], ramp, 0.0),
        control_spec=int(sum(int(part) for part in CONTROL[: 3 if spec.fixtures else 1])),
        initial_warmstart=np.zeros((count, v)),
    )[0]
    # One that blows up on the way has started anew, which only its clock tells.
    sound &= np.abs(states[:, -1, 0] - steps * scene.TIMESTEP) < 0.5 * scene.TIMESTEP
    last = states[:, -1].astype(np.float32)
    last = np.where(sound[:, None], last, np.float32(np.nan))
    return last[:, 1 : 1 + q].reshape(*lead, q), last[:, 1 + q : 1 + q + v].reshape(*lead, v)


def _models(spec: SceneSpec, dynamics: Dynamics, count: int) -> list[mujoco.MjModel]:
    """One model per world; worlds with nominal physics share one."""
    model = scene.build_physics_model(spec)
    factors = [
        np.asarray(factor, np.float64).reshape(-1)
        for factor in (dynamics.friction, dynamics.mass, dynamics.gains)
    ]
    plain = nominal_factors(dynamics).reshape(-1)
    return [
        model if plain[world] else _changed(spec, *(float(factor[world]) for factor in factors))
        for world in range(count)
    ]


@functools.lru_cache(maxsize=4096)
def _changed(spec: SceneSpec, friction: float, mass: float, gains: float) -> mujoco.MjModel:
    model = copy.copy(scene.build_physics_model(spec))
    bodies = _block_bodies(spec)
    model.body_mass[bodies] *= mass
    model.body_inertia[bodies] *= mass
    model.pair_friction[:, :2] *= friction
    model.actuator_gainprm *= gains
    model.actuator_biasprm *= gains
    # What the compiler derives from masses: MuJoCo reads the inertia of free bodies off it.
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return model
