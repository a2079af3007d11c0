"""Own kinematics and rotations against MuJoCo's and SciPy's; inverse kinematics inverts."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from wamjax.core.runtime import program_jit
from wamjax.sim import drawing, kinematics, rotations, scene
from wamjax.sim.control import DOWN
from wamjax.sim.fixtures import FIXTURES
from wamjax.sim.kinematics import Pose
from wamjax.sim.robots import PANDA, panda
from wamjax.sim.tasks.record import Layout
from wamjax.sim.tasks.registry import TASKS

RNG = np.random.default_rng(0)


def random_turns(count: int) -> np.ndarray:
    """Unit quaternions wxyz, float32."""
    q = RNG.normal(size=(count, 4))
    return (q / np.linalg.norm(q, axis=1, keepdims=True)).astype(np.float32)


def scipy_of(q: jax.Array) -> Rotation:
    return Rotation.from_quat(np.roll(np.asarray(q, np.float64), -1, axis=-1))


def test_rotations_agree_with_scipy() -> None:
    p, q = jnp.asarray(random_turns(100)), jnp.asarray(random_turns(100))
    v = jnp.asarray(RNG.normal(size=(100, 3)), jnp.float32)
    p_true, q_true = scipy_of(p), scipy_of(q)
    np.testing.assert_allclose(rotations.to_matrix(q), q_true.as_matrix(), atol=1e-6)
    np.testing.assert_allclose(
        rotations.to_matrix(rotations.multiply(p, q)), (p_true * q_true).as_matrix(), atol=1e-6
    )
    np.testing.assert_allclose(rotations.rotate(q, v), q_true.apply(v), atol=1e-5)
    np.testing.assert_allclose(rotations.to_vector(q), q_true.as_rotvec(), atol=1e-5)
    angles = q_true.as_euler("xyz")
    np.testing.assert_allclose(rotations.to_roll_pitch_yaw(q), angles, atol=1e-4)


def test_rotation_vectors_invert_and_are_smooth_at_zero() -> None:
    r = jnp.asarray(RNG.uniform(-1.5, 1.5, size=(100, 3)), jnp.float32)
    np.testing.assert_allclose(rotations.to_vector(rotations.from_vector(r)), r, atol=1e-5)
    small = jnp.zeros(3)
    np.testing.assert_allclose(rotations.to_vector(rotations.from_vector(small)), 0.0, atol=1e-9)
    slope = jax.jacobian(lambda x: rotations.to_vector(rotations.from_vector(x)))(small)
    np.testing.assert_allclose(slope, np.eye(3), atol=1e-3)


@pytest.fixture(scope="module")
def poses() -> np.ndarray:
    """Joint angles within the limits, float32 [N, 7]."""
    share = RNG.uniform(0.05, 0.95, size=(50, 7))
    return (panda.LOWER + share * (panda.UPPER - panda.LOWER)).astype(np.float32)


@pytest.mark.parametrize("task", ["push", "place", "drawer"])
def test_drawn_bodies_stand_where_mujoco_puts_them(task: str, poses: np.ndarray) -> None:
    spec = TASKS[task].scene
    model, where = scene.build_model(spec), scene.places(spec)
    data = mujoco.MjData(model)
    marks, fixtures = len(spec.marks), len(spec.fixtures)
    layout = Layout(
        blocks=jnp.zeros((len(spec.blocks), 3)),
        marks=jnp.asarray(RNG.uniform(-0.5, 0.5, size=(marks, 2)), jnp.float32),
        fixtures=jnp.asarray(RNG.uniform(-0.5, 0.5, size=(fixtures, 3)), jnp.float32),
        tips=jnp.zeros((1, 3)),
    )
    props = jnp.asarray(RNG.uniform(-0.5, 0.5, size=(spec.props, 3)), jnp.float32)
    body_poses = program_jit(jax.vmap(lambda q: drawing.body_poses(spec, q, layout, props)))
    tips = program_jit(jax.vmap(lambda q: kinematics.tip_pose(PANDA.arms[0], q)))(poses)
    positions = np.tile(model.qpos0, (len(poses), 1)).astype(np.float32)
    positions[:, where.arms[0]] = poses
    positions[:, where.fingers[0]] = RNG.uniform(0, 0.04, size=(len(poses), 2))
    positions[:, where.slides] = RNG.uniform(0, 0.1, size=(len(poses), len(where.slides)))
    for address in where.blocks:
        positions[:, address : address + 3] += RNG.uniform(-0.1, 0.1, size=(len(poses), 3))
        positions[:, address + 3 : address + 7] = random_turns(len(poses))
    places, turns = body_poses(positions)
    heights = [FIXTURES[kind].height for kind in spec.fixtures]
    mocap = [*np.concatenate([np.array(layout.fixtures)[:, :2], np.array([heights]).T], axis=1)]
    mocap += [np.append(mark, 0.001) for mark in np.array(layout.marks)]
    mocap += [*props]
    spins = np.tile([1.0, 0.0, 0.0, 0.0], (len(mocap), 1))
    spins[:fixtures] = rotations.about_z(layout.fixtures[:, 2])
    for index, position in enumerate(positions):
        data.qpos[:] = position
        data.mocap_pos[:], data.mocap_quat[:] = mocap, spins
        mujoco.mj_forward(model, data)
        np.testing.assert_allclose(places[index], data.xpos, atol=2e-6)
        own = rotations.to_matrix(turns[index])
        np.testing.assert_allclose(own.reshape(-1, 9), data.xmat, atol=2e-6)
        np.testing.assert_allclose(tips.position[index], data.site("tip").xpos, atol=2e-6)


def test_inverse_kinematics_reaches_the_workspace() -> None:
    count = 200
    low = (PANDA.workspace[0][0] + 0.05, -0.25, PANDA.workspace[0][2])
    high = (0.68, 0.25, 0.25)
    goals = RNG.uniform(low, high, size=(count, 3)).astype(np.float32)
    target = Pose(position=goals, turn=np.tile(np.array(DOWN, np.float32), (count, 1)))

    def reach(goal: Pose):
        arm = PANDA.arms[0]
        joints = kinematics.solve(arm, goal, jnp.asarray(panda.READY, jnp.float32), 20)
        return joints, kinematics.tip_pose(arm, joints)

    joints, pose = program_jit(jax.vmap(reach))(target)
    np.testing.assert_allclose(pose.position, goals, atol=1e-3)
    np.testing.assert_allclose(np.abs(np.asarray(pose.turn) @ np.array(DOWN)), 1.0, atol=1e-4)
    assert np.all((joints > panda.LOWER) & (joints < panda.UPPER))


def test_masses_and_reach_are_the_published_ones() -> None:
    model = scene.build_model(TASKS["push"].scene)
    arm = [model.body(f"link{i}").mass[0] for i in range(8)]
    assert sum(arm) + model.body("hand").mass[0] == pytest.approx(17.4219, abs=1e-4)
    joints = np.zeros(7, np.float32)
    joints[3] = -0.0698
    tip = kinematics.tip_pose(PANDA.arms[0], jnp.asarray(joints))
    # Straight up: shoulder 0.333, arm 0.316 and 0.384, then hand and tip hanging from the flange.
    height = 0.333 + 0.316 + 0.384 - 0.107 - panda.TIP_OFFSET
    assert float(tip.position[2]) == pytest.approx(height, abs=0.01)


def test_physics_model_is_the_drawn_model_without_drawing() -> None:
    spec = TASKS["push"].scene
    drawn, bare = scene.build_model(spec), scene.build_physics_model(spec)
    np.testing.assert_array_equal(drawn.qpos0, bare.qpos0)
    np.testing.assert_allclose(drawn.dof_M0, bare.dof_M0, rtol=1e-12)
    assert (drawn.nv, drawn.npair, drawn.nu) == (bare.nv, bare.npair, bare.nu)
    assert len(scene.places(dataclasses.replace(spec, props=5)).drawn) <= 26
    assert bare.ngeom == 7
