"""ALOHA's two arms against MuJoCo and the published numbers; the two-arm tasks are solved."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from wamjax.core.runtime import program_jit
from wamjax.sim import control, drawing, instructions, kinematics, rotations, scene
from wamjax.sim.axes import AXES, find_axis
from wamjax.sim.env import TabletopEnv
from wamjax.sim.kinematics import Pose
from wamjax.sim.robots import VIPERX, viperx
from wamjax.sim.setting import build_setting
from wamjax.sim.tasks.moves import hand_yaw
from wamjax.sim.tasks.registry import TASKS
from wamjax.sim.tasks.sticks import LEFT, RIGHT, TRAVEL
from wamjax.sim.variants import clean_variant

TWO_ARMED = ("handover", "bimanual_lift")
RNG = np.random.default_rng(0)
SPEC = TASKS["handover"].scene
WORLDS = 64


def random_position(model: mujoco.MjModel) -> np.ndarray:
    """A qpos with both arms, the fingers and the sticks somewhere."""
    where, position = scene.places(SPEC), model.qpos0.copy()
    for index, arm in enumerate(VIPERX.arms):
        position[where.arms[index]] = RNG.uniform(arm.lower, arm.upper)
        position[where.fingers[index]] = RNG.uniform(viperx.SHUT, viperx.WIDE, 2)
    for address in where.blocks:
        turn = RNG.normal(size=4)
        position[address : address + 3] += RNG.uniform(-0.1, 0.1, 3)
        position[address + 3 : address + 7] = turn / np.linalg.norm(turn)
    return position.astype(np.float32)


def test_drawn_bodies_stand_where_mujoco_puts_them() -> None:
    model = scene.build_model(SPEC)
    data = mujoco.MjData(model)
    setting = build_setting(
        TASKS["handover"], clean_variant(jnp.int32(0)), instructions.TEXT_LENGTH
    )
    positions = np.stack([random_position(model) for _ in range(20)])

    def poses(position: jax.Array):
        tips = [
            kinematics.tip_pose(arm, position[address])
            for arm, address in zip(VIPERX.arms, scene.places(SPEC).arms, strict=True)
        ]
        return drawing.body_poses(SPEC, position, setting.layout, setting.props), tips

    (places, turns), tips = program_jit(jax.vmap(poses))(positions)
    still = np.asarray(model.body_mocapid) < 0
    for index, position in enumerate(positions):
        data.qpos[:] = position
        mujoco.mj_forward(model, data)
        np.testing.assert_allclose(places[index][still], data.xpos[still], atol=3e-6)
        own = rotations.to_matrix(turns[index]).reshape(-1, 9)
        np.testing.assert_allclose(own[still], data.xmat[still], atol=3e-6)
        for side, tip in zip(viperx.SIDES, tips, strict=True):
            site = data.site(f"{side}_tip").xpos
            np.testing.assert_allclose(tip.position[index], site, atol=3e-6)


def test_masses_and_reach_are_the_published_ones() -> None:
    model = scene.build_model(SPEC)
    for side in viperx.SIDES:
        bodies = [
            model.body(index)
            for index in range(model.nbody)
            if model.body(index).name.startswith(f"{side}_")
        ]
        assert len(bodies) == 10
        assert sum(body.mass[0] for body in bodies) == pytest.approx(4.258505, abs=1e-5)
    # Upright the arm is base + 0.079 + 0.04805 + 0.3 high and reaches forward.
    tip = kinematics.tip_pose(VIPERX.arms[LEFT], jnp.zeros(6))
    forward = 0.05955 + 0.2 + 0.1 + 0.069744 + 0.13
    expected = [-0.469 + forward, -0.019, 0.02 + 0.079 + 0.04805 + 0.3 - 0.003]
    np.testing.assert_allclose(tip.position, expected, atol=1e-5)


def test_closed_fingers_meet_at_the_tip() -> None:
    """Both grippers' contact spheres lie round the tip, and open fingers are TRAVEL apart."""
    model = scene.build_model(SPEC)
    data = mujoco.MjData(model)
    for slide, gap in ((viperx.SHUT, 0.0), (viperx.WIDE, TRAVEL)):
        data.qpos[:] = random_position(model)
        for address in scene.places(SPEC).fingers:
            data.qpos[address] = slide
        mujoco.mj_forward(model, data)
        for arm in viperx.SIDES:
            rows = [name for name in viperx.pads(True) if name.startswith(arm)]
            middle = np.mean([data.geom(name).xpos for name in rows], axis=0)
            np.testing.assert_allclose(middle, data.site(f"{arm}_tip").xpos, atol=1e-4)
            for suffix, radius, _ in viperx.FACE:
                one, two = (data.geom(f"{arm}_pad_{side}{suffix}").xpos for side in viperx.SIDES)
                apart = np.linalg.norm(one - two) - 2 * radius
                assert apart == pytest.approx(gap, abs=1e-5)


def test_inverse_kinematics_reaches_the_common_workspace_pointing_down() -> None:
    """One DOWN and one yaw serve both arms, and each reaches over the middle of the table."""
    count = 100
    places = RNG.uniform((-0.25, -0.15, 0.01), (0.04, 0.15, 0.18), (count, 3)).astype(np.float32)
    yaws = RNG.uniform(-0.6, 0.6, count).astype(np.float32)
    for index, mirror in ((LEFT, 1.0), (RIGHT, -1.0)):
        arm = VIPERX.arms[index]
        goals = places * np.array([mirror, 1, 1], np.float32)

        def reach(goal: jax.Array, yaw: jax.Array, arm=arm):
            turn = rotations.multiply(rotations.about_z(yaw), jnp.array(control.DOWN))
            ready = jnp.asarray(arm.ready, jnp.float32)
            joints = kinematics.solve(arm, Pose(position=goal, turn=turn), ready, 25)
            pose = kinematics.tip_pose(arm, joints)
            return joints, pose, hand_yaw(pose)

        joints, pose, turned = program_jit(jax.vmap(reach))(goals, yaws)
        np.testing.assert_allclose(pose.position, goals, atol=1e-3)
        np.testing.assert_allclose(turned, yaws, atol=2e-3)
        assert np.all((joints > arm.lower) & (joints < arm.upper))


@pytest.mark.parametrize("name", TWO_ARMED)
def test_instructions_fit_and_name_their_thing(name: str) -> None:
    task = TASKS[name]
    told = instructions.sentences(task, 0, (0, 2))
    assert all(len(text.encode()) <= instructions.TEXT_LENGTH for text in told)
    assert len(set(told)) == len(told)
    assert all(f"the red {task.noun}" in text for text in told[: instructions.CLEAN_WORDINGS])
    assert not any("blue" in text.split() for text in told)
    assert instructions.table(task).shape[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO_ARMED)
def test_experts_solve_and_stillness_does_not(name: str) -> None:
    env = TabletopEnv(name, physics="c", image_size=24)
    assert env.action_size == 14
    assert env.observation_size == env.reset(jax.random.PRNGKey(0)).obs.shape[0]

    def one(seed: jax.Array, expert: jax.Array):
        def tick(state, _):
            still = jnp.tile(jnp.array([0.0, 0, 0, 0, 0, 0, 1]), 2)
            return env.step(state, jnp.where(expert, env.expert(state), still)), None

        end, _ = jax.lax.scan(tick, env.reset_variant(clean_variant(seed)), length=env.horizon)
        return end.metrics

    seeds = np.arange(2 * WORLDS, dtype=np.int32) % WORLDS
    end = program_jit(jax.vmap(one))(seeds, np.arange(2 * WORLDS) < WORLDS)
    success, mode = np.asarray(end["success"]), np.asarray(end["mode"])
    assert success[:WORLDS].mean() > 0.95
    assert success[WORLDS:].sum() == 0.0
    assert np.asarray(end["diverged"]).sum() == 0.0
    taken = np.unique(mode[:WORLDS][success[:WORLDS] > 0]).astype(int)
    assert set(range(len(env.task.modes))) <= set(taken)


def test_both_arms_and_the_stick_are_in_the_pictures() -> None:
    env = TabletopEnv("handover", physics="c", image_size=64)
    frames = program_jit(lambda seed: env.observe(env.reset_variant(clean_variant(seed))))(0).frames
    assert frames.shape == (3, 1, 64, 64, 3)
    assert all(frame.std() > 8 for frame in np.asarray(frames, np.float32))


def test_perturbed_layouts_stay_on_the_table() -> None:
    axis, names = find_axis("layout"), [sub.name for sub in AXES["layout"]]
    task = TASKS["handover"]

    def layout(sub_axis: jax.Array, seed: jax.Array):
        variant = clean_variant(seed).replace(axis=axis, sub_axis=sub_axis, severity=5)
        setting = build_setting(task, variant, instructions.TEXT_LENGTH)
        return setting.layout.blocks, setting.props

    seeds = np.arange(WORLDS, dtype=np.int32)
    many = program_jit(jax.vmap(layout, in_axes=(None, 0)))
    half = np.array(VIPERX.table.half[:2])
    for sub_axis in ("jitter", "moved"):
        blocks, _ = many(np.int32(names.index(sub_axis)), seeds)
        assert np.all(np.abs(np.asarray(blocks)[..., :2]) < half)
    _, props = many(np.int32(names.index("distractors")), seeds)
    assert np.all(np.abs(np.asarray(props)[..., :2]) < half)
