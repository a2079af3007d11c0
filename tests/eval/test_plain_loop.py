"""The plain loop does the same work: the same worlds, states, pictures and success flags."""

import dataclasses

import jax
import numpy as np
import pytest

from wamjax.core.runtime import program_jit
from wamjax.eval import bench
from wamjax.eval.bench_case import Case
from wamjax.eval.plain.painter import placed_fixtures
from wamjax.eval.plain.process import LoopProcess
from wamjax.eval.plain.stepping import RolloutStepper, ThreadStepper
from wamjax.sim import scene
from wamjax.sim.render import opengl

CASE = Case(task="stack", size=16, cameras=("primary",), worlds=3, horizon=6, width=16, depth=1)


@pytest.fixture(scope="module")
def library() -> str:
    chosen = opengl.backend()
    if chosen is None:
        pytest.skip(opengl.MISSING)
    return chosen


@pytest.fixture(scope="module")
def replayed(library):
    """(the expert's episodes in our program, the loop's replay of them, its own episodes)."""
    ours = jax.device_get(bench.scripted(CASE.env("c"), CASE.horizon)(CASE.variants()))
    with LoopProcess(CASE, library, cached=True) as loop:
        replay = loop.play(script=ours["actions"])
        return ours, replay, loop.play(), loop.play(shadows=False)


@pytest.mark.slow
def test_replayed_actions_lead_to_the_same_states(replayed):
    ours, replay, _, _ = replayed
    np.testing.assert_allclose(replay.positions[:, -1], ours["positions"], atol=1e-4)
    np.testing.assert_array_equal(replay.success, ours["success"])
    np.testing.assert_array_equal(replay.actions, ours["actions"])
    # The arm has moved, or the equality says nothing.
    assert np.abs(replay.positions[:, -1] - replay.positions[:, 0]).max() > 0.02


@pytest.mark.slow
def test_pictures_show_the_same_worlds(replayed):
    ours, replay, _, _ = replayed
    theirs, mine = replay.last.astype(float), ours["frames"][:, :, 0].astype(float)
    assert np.abs(theirs - mine).mean() < bench.MOST_PICTURE_DIFFERENCE
    # A picture of another world is further away than that of the same one.
    same = np.abs(theirs - mine).mean(axis=(1, 2, 3, 4))
    other = np.abs(theirs - np.roll(mine, 1, axis=0)).mean(axis=(1, 2, 3, 4))
    assert (same < other).all()


@pytest.mark.slow
def test_the_loop_asks_the_policy_and_times_its_parts(replayed):
    _, _, played, plain = replayed
    assert played.actions.shape == (3, 6, 7)
    assert played.positions.shape == (3, 7, 23)
    assert played.first.shape == (3, 1, 16, 16, 3)
    assert (plain.first.mean() > played.first.mean()) or (plain.first != played.first).any()
    assert set(played.seconds) == {"physics", "control", "drawing", "policy", "all"}
    parts = sum(seconds for name, seconds in played.seconds.items() if name != "all")
    assert 0.8 * played.seconds["all"] < parts <= played.seconds["all"]


def test_both_ways_of_stepping_give_the_same_states():
    env = Case(
        task="drawer", size=16, cameras=("primary",), worlds=3, horizon=6, width=16, depth=1
    ).env("c")
    spec = env.task.scene
    model = scene.build_physics_model(spec)
    start = program_jit(jax.vmap(env.reset_variant))(CASE.variants())
    placed = placed_fixtures(spec, jax.device_get(start.info["setting"]))
    assert placed.shape == (3, len(spec.fixtures), 7)
    state = np.zeros((3, 1 + model.nq + model.nv))
    state[:, 1 : 1 + model.nq] = start.pipeline_state.body.position
    controls = np.zeros((3, scene.SUBSTEPS, model.nu))
    where = scene.places(spec)
    controls[:, :, where.arm_controls[0]] = 0.05 + np.asarray(
        start.pipeline_state.body.command.joints[:, 0, None]
    )
    one = RolloutStepper(model, placed)(state, controls)
    other = ThreadStepper(model, placed)(state, controls)
    np.testing.assert_allclose(one[:, 1:], other[:, 1:], atol=1e-5)
    assert np.abs(one - state).max() > 0.01


def test_a_failing_loop_says_why(library):
    with pytest.raises(RuntimeError, match="no camera 'behind'"):
        LoopProcess(dataclasses.replace(CASE, cameras=("behind",)), library, cached=True)
