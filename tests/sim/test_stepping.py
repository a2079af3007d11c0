"""MJX and C MuJoCo are one physics; a world in C is the same anywhere and harms nobody."""

import jax
import mujoco
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from tests.sim.conftest import clean
from wamjax.core.errors import UserError
from wamjax.eval.rollout import rollout
from wamjax.policy import random_policy
from wamjax.sim import scene, stepping
from wamjax.sim.dynamics import Dynamics
from wamjax.sim.env import TabletopEnv
from wamjax.sim.stepping import Motion
from wamjax.sim.tasks.registry import TASKS

SPEC = TASKS["stack"].scene
SECOND = 10
FREE, HELD = slice(0, 9), slice(9, None)
"""Robot's joints and blocks in qpos."""


def parting(histories, worlds: slice, ticks: int, where: slice) -> float:
    """Largest difference between C and MJX."""
    one, other = (history["position"][worlds, :ticks, where] for history in histories)
    return float(np.abs(one - other).max())


@pytest.mark.slow
def test_mjx_and_c_agree_over_a_second(both_histories) -> None:
    """Measured over clean worlds: 2e-6 rad of the joints, 0.3 um of the blocks."""
    for worlds in (slice(0, 10), slice(10, 20)):
        travelled = both_histories[0]["position"][worlds, SECOND - 1, :7]
        assert np.abs(travelled - both_histories[0]["position"][worlds, 0, :7]).max() > 0.3
        for where in (FREE, HELD):
            worst = parting(both_histories, worlds, SECOND, where)
            print(f"{worlds}: {worst:.1e}")
            assert worst < 1e-5


def test_mjx_and_c_agree_on_a_cube_that_is_grasped_and_stacked(both_histories) -> None:
    """Contacts multiply what differs: measured, the cubes part by 0.5 mm in three seconds."""
    solved = [history["metrics"]["success"][:10, -1] for history in both_histories]
    np.testing.assert_array_equal(*solved)
    assert solved[0].mean() > 0.5
    assert parting(both_histories, slice(0, 20), 30, FREE) < 1e-3
    worst = parting(both_histories, slice(0, 20), 30, slice(9, 12))
    print(f"cubes: {1000 * worst:.1f} mm")
    assert worst < 2e-3


def nominal(count: int) -> Dynamics:
    one = np.ones(count, np.float32)
    return Dynamics(
        friction=one, mass=one, gains=one, latency=np.zeros(count, np.int32), proprio_noise=0 * one
    )


def thrown(count: int, seed: int = 0) -> tuple[Motion, np.ndarray, np.ndarray, Dynamics]:
    """Arms that swing and cubes that slide and fall: motion [E], controls [E, 20, u], fixtures."""
    rng, model = np.random.default_rng(seed), scene.build_physics_model(SPEC)
    position = np.tile(model.qpos0, (count, 1))
    position[:, :7] = [0.0, 0.3, 0.0, -2.0, 0.0, 2.2, 0.8]
    position[:, :7] += rng.uniform(-0.2, 0.2, (count, 7))
    position[:, [11, 18]] += rng.uniform(0.0, 0.05, (count, 2))
    velocity = rng.uniform(-0.5, 0.5, (count, model.nv))
    controls = np.tile(position[:, None, :9], (1, scene.SUBSTEPS, 1))
    controls += rng.uniform(-0.1, 0.1, (count, 1, 9))
    motion = Motion(
        position=position.astype(np.float32),
        velocity=velocity.astype(np.float32),
        warmstart=np.zeros((count, model.nv), np.float32),
    )
    return motion, controls.astype(np.float32), np.zeros((count, 0, 7), np.float32), nominal(count)


@pytest.fixture(scope="module")
def step_c():
    """(motions, controls, fixtures, dynamics) of any number of worlds -> motions."""

    def one(motion, controls, fixtures, dynamics):
        return stepping.substeps("c", SPEC, motion, controls, fixtures, dynamics)

    return jax.jit(jax.vmap(one))


def taken(tree, places):
    return jax.tree.map(lambda leaf: leaf[places], tree)


def same(one, other) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_c_is_mujocos_own_steps(step_c) -> None:
    """One world at a time by mj_step, in doubles, from the same float32 numbers."""
    worlds = thrown(4)
    got = step_c(*worlds)
    model = scene.build_physics_model(SPEC)
    for world in range(4):
        motion, controls, _, _ = taken(worlds, world)
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = motion.position, motion.velocity
        for control in controls:
            data.ctrl[:] = control
            mujoco.mj_step(model, data)
        np.testing.assert_array_equal(got.position[world], data.qpos.astype(np.float32))
        np.testing.assert_array_equal(got.velocity[world], data.qvel.astype(np.float32))


def test_a_world_in_c_is_bit_equal_alone_in_a_batch_and_in_any_order(step_c) -> None:
    worlds = thrown(64)
    whole = step_c(*worlds)
    assert np.abs(np.asarray(whole.position) - worlds[0].position).max() > 0.05
    order = np.random.default_rng(1).permutation(64)
    same(step_c(*taken(worlds, order)), taken(whole, order))
    for world in map(np.array, ([0], [41])):
        same(step_c(*taken(worlds, world)), taken(whole, world))
    same(step_c(*worlds), whole)


def test_worlds_that_diverge_in_c_harm_nobody_and_are_seen(step_c, tmp_path, monkeypatch) -> None:
    """No number, far too large a one, and one that blows up only on the way."""
    monkeypatch.chdir(tmp_path)
    worlds = thrown(16)
    healthy = step_c(*worlds)
    motion, controls, fixtures, dynamics = worlds
    position, velocity = motion.position.copy(), motion.velocity.copy()
    controls = controls.copy()
    position[3, 2], velocity[5, 4], velocity[7, 10] = np.nan, np.inf, 1e12
    controls[9, 7, 1] = np.nan
    bad = [3, 5, 7, 9]
    motion = motion.replace(position=position, velocity=velocity)
    got = step_c(motion, controls, fixtures, dynamics)
    others = np.delete(np.arange(16), bad)
    same(taken(got, others), taken(healthy, others))
    assert np.isnan(np.asarray(got.position)[bad]).all()
    assert np.isnan(np.asarray(got.velocity)[bad]).all()
    # MuJoCo writes its warnings to a file where the user stands.
    assert not list(tmp_path.iterdir())

    # MuJoCo itself would put this one back to the model's start without a word to the caller.
    velocity[5], velocity[7] = worlds[0].velocity[5], worlds[0].velocity[7]
    velocity[5, :7] = 3e8
    motion = worlds[0].replace(velocity=velocity)
    got = step_c(motion, worlds[1], fixtures, dynamics)
    others = np.delete(np.arange(16), [5])
    same(taken(got, others), taken(healthy, others))
    assert np.isnan(np.asarray(got.position)[5]).all()


@pytest.mark.parametrize("physics", ["c", "mjx"])
def test_a_diverged_world_does_not_harm_its_batch(play_both, physics) -> None:
    actions = np.zeros((32, 30, 7), np.float32)
    healthy = play_both(physics, actions, np.ones(32, bool))[2]
    spoiled, expert = actions.copy(), np.ones(32, bool)
    spoiled[6, 4, 2], expert[6] = np.nan, False
    history = play_both(physics, spoiled, expert)[2]
    others = np.delete(np.arange(32), 6)
    same(taken(history, others), taken(healthy, others))
    assert history["metrics"]["diverged"][6].tolist() == [0.0] * 4 + [1.0] * 26
    assert np.isfinite(history["position"][6]).all()


def test_c_physics_spread_over_devices_is_the_same(step_c) -> None:
    mesh = Mesh(np.array(jax.devices()), ("data",))
    spread = NamedSharding(mesh, PartitionSpec("data"))
    assert mesh.size == 8
    worlds = thrown(1024)
    whole = step_c(*worlds)
    got = step_c(*jax.device_put(worlds, spread))
    same(got, whole)


def test_a_rollout_in_c_over_eight_devices_gives_every_world_its_own() -> None:
    """On whichever device a world runs, it ends where it ends elsewhere; the last batch is padded.

    Sine and cosine may differ in the last bit with the place in a batch.
    """
    env = TabletopEnv("reach", physics="c", props=False)
    limit = np.array([0.03] * 3 + [0.05] * 3 + [1.0], np.float32)
    policy, weights = random_policy(-limit, limit, chunk=3, replan=3)
    one = clean(range(1))
    run = rollout(policy, env, 6, weights=weights, variants=one, batch=16)
    assert len(jax.devices()) == 8
    key = jax.random.key(0)
    _, trace = run.trace(weights, clean(range(19)), key)
    order = np.random.default_rng(0).permutation(19)
    _, other = run.trace(weights, taken(clean(range(19)), order), key)
    np.testing.assert_array_equal(other.actions, trace.actions[order])
    bodies = [part.states.pipeline_state.body.position for part in (trace, other)]
    np.testing.assert_allclose(bodies[1], bodies[0][order], atol=1e-5)
    arms = bodies[0][:, -1, :7]
    assert np.abs(arms - bodies[0][:, 0, :7]).max(axis=1).min() > 0.02
    apart = np.abs(arms[:, None] - arms[None]).max(axis=-1) + np.eye(19)
    assert apart.min() > 1e-3


def test_auto_is_c_on_a_cpu() -> None:
    assert stepping.resolve("auto") == "c"
    assert stepping.resolve("mjx") == "mjx"
    assert TabletopEnv("reach", physics="auto").physics == "c"


def test_unknown_physics_are_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"'warp' does not exist; known: mjx, c, auto\.$"):
        TabletopEnv("reach", physics="warp")  # type: ignore[arg-type]
