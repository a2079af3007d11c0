"""The environment: brax's interface, batches, divergence, the action and proprio conventions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.base import Env
from brax.envs.wrappers import training

from tests.sim.conftest import TICKS, WORLDS, clean, ones, stack
from wamjax.core.errors import UserError
from wamjax.core.runtime import program_jit
from wamjax.sim import physics, scene
from wamjax.sim.env import TabletopEnv
from wamjax.sim.tasks.registry import TASKS
from wamjax.sim.variants import make_variant


def actions(*, tick: tuple[float, ...]) -> np.ndarray:
    """The same action at every tick in every world."""
    return np.tile(np.array(tick, np.float32), (WORLDS, TICKS, 1))


@pytest.fixture(scope="module")
def wrapped(reach: TabletopEnv):
    """Brax's wrappers around one world: (program, seed of its world)."""
    episode = training.AutoResetWrapper(training.EpisodeWrapper(training.VmapWrapper(reach), 6, 1))

    def run(key: jax.Array, moves: jax.Array):
        def tick(state, move):
            state = episode.step(state, move[None])
            body = state.pipeline_state.body
            return state, (body.position[0], state.done[0], state.obs[0], state.metrics)

        start = episode.reset(key[None])
        return start, jax.lax.scan(tick, start, moves)[1]

    return program_jit(run)


MOVES = np.random.default_rng(0).uniform(-1, 1, (TICKS, 7)).astype(np.float32)
MOVES = MOVES * np.array([0.03, 0.03, 0.02, 0.05, 0.05, 0.05, 1.0], np.float32)


def test_brax_wrappers_accept_the_env(reach: TabletopEnv, wrapped) -> None:
    assert isinstance(reach, Env)
    start, (positions, done, observations, metrics) = wrapped(jax.random.PRNGKey(5), MOVES)
    assert start.obs.shape == (1, reach.observation_size)
    assert observations.shape == (TICKS, reach.observation_size)
    assert observations.dtype == jnp.float32
    assert reach.action_size == 7
    assert reach.backend == "mjx"
    assert TabletopEnv("reach", physics="c").backend == "mujoco"
    # The time limit is the wrapper's; a new episode starts at the first state again.
    assert np.flatnonzero(done).tolist() == [5, 11, 17]
    np.testing.assert_array_equal(positions[5], start.pipeline_state.body.position[0])
    assert set(metrics) == {"success", "distance", "diverged", "mode", "other"}


def test_world_in_a_batch_equals_the_world_alone(wrapped, play_reach) -> None:
    start, (alone, _, _, _) = wrapped(jax.random.PRNGKey(5), MOVES)
    seed = int(start.info["setting"].variant.seed[0])
    company = [make_variant(None, None, 0, number) for number in range(WORLDS - 1)]
    for place in (0, 37, WORLDS - 1):
        worlds = [*company[:place], make_variant(None, None, 0, seed), *company[place:]]
        batch_moves = np.tile(MOVES, (WORLDS, 1, 1))
        first, _, records = play_reach(stack(worlds), batch_moves, ~ones())
        np.testing.assert_allclose(
            first.pipeline_state.body.position[place],
            start.pipeline_state.body.position[0],
            atol=1e-5,
        )
        np.testing.assert_allclose(records["position"][place, :5], alone[:5], atol=1e-4)


def test_same_variant_is_the_same_world(play_reach, expert_reach) -> None:
    """Bit for bit in the same batch; elsewhere up to the last bit of vectorised sines."""
    zeros = np.zeros((WORLDS, TICKS, 7), np.float32)
    again = play_reach(clean(range(WORLDS)), zeros, ones())
    for one, other in leaves_of(expert_reach, again):
        np.testing.assert_array_equal(one, other)

    order = np.random.default_rng(1).permutation(WORLDS)
    mixed = play_reach(jax.tree.map(lambda leaf: leaf[order], clean(range(WORLDS))), zeros, ones())
    for one, other in leaves_of(expert_reach[0], mixed[0]):
        np.testing.assert_allclose(one[order], other, atol=1e-6)
    for one, other in leaves_of(expert_reach[2]["position"], mixed[2]["position"]):
        np.testing.assert_allclose(one[order], other, atol=1e-4)


def leaves_of(one, other):
    """Pairs of arrays."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return [(np.asarray(a), np.asarray(b)) for a, b in pairs]


def test_a_centimetre_is_a_centimetre(play_reach) -> None:
    for axis in range(3):
        tick = np.zeros(7, np.float32)
        tick[axis], tick[6] = 0.01, 1.0
        start, _, records = play_reach(clean(range(WORLDS)), actions(tick=tuple(tick)), ~ones())
        path = np.asarray(records["proprio"][:, :, :3])
        moved = path[:, 5] - path[:, 2]
        expected = np.zeros(3)
        expected[axis] = 0.03
        np.testing.assert_allclose(moved, np.tile(expected, (WORLDS, 1)), atol=0.0015)
        first = path[:, 0] - np.asarray(start.obs[:, 7:10])
        np.testing.assert_allclose(first[:, axis], 0.01, atol=0.002)


def test_rotations_are_vectors_in_the_base_frame(play_reach) -> None:
    """Five ticks of 0.04 rad about the base's x axis (then y, then z) are 0.2 rad of that angle."""
    for axis in range(3):
        tick = np.zeros(7, np.float32)
        tick[3 + axis], tick[6] = 0.04, 1.0
        _, _, records = play_reach(clean(range(WORLDS)), actions(tick=tuple(tick)), ~ones())
        angles = np.asarray(records["proprio"][:, 4, 3:6])
        expected = np.zeros(3)
        expected[axis] = 0.2
        np.testing.assert_allclose(angles, np.tile(expected, (WORLDS, 1)), atol=0.02)
        place = np.asarray(records["proprio"][:, 4, :3] - records["proprio"][:, 0, :3])
        np.testing.assert_allclose(place, 0.0, atol=0.005)


def test_gripper_one_is_open_and_zero_is_closed(play_reach) -> None:
    for command in (0.0, 1.0):
        _, _, records = play_reach(
            clean(range(WORLDS)), actions(tick=(0, 0, 0, 0, 0, 0, command)), ~ones()
        )
        np.testing.assert_allclose(records["proprio"][:, -1, 6], command, atol=0.02)


def test_a_diverged_world_fails_alone(play_reach, expert_reach) -> None:
    variants = clean(range(WORLDS))
    zeros = np.zeros((WORLDS, TICKS, 7), np.float32)
    spoiled, expert = zeros.copy(), ones()
    expert[3] = False
    spoiled[3, 4] = np.nan
    _, end, records = play_reach(variants, spoiled, expert)
    for leaf in jax.tree.leaves((end, records["position"], records["obs"], records["reward"])):
        assert np.all(np.isfinite(np.asarray(leaf, np.float64)))
    assert records["metrics"]["diverged"][3].tolist() == [0.0] * 4 + [1.0] * (TICKS - 4)
    assert records["done"][3, -1] == 1.0
    assert records["metrics"]["success"][3].max() == 0.0
    others = np.delete(np.arange(WORLDS), 3)
    np.testing.assert_array_equal(
        np.asarray(records["position"])[others], np.asarray(expert_reach[2]["position"])[others]
    )


def test_a_cube_off_the_table_is_a_diverged_world(expert_reach) -> None:
    body = jax.tree.map(lambda leaf: leaf[0], expert_reach[1].pipeline_state.body)
    spec = TASKS["reach"].scene
    assert physics.is_sound(spec, body)
    for place, value in ((11, -0.2), (9, 1.5), (17, -1.5), (0, np.nan)):
        motion = body.motion.replace(position=body.position.at[place].set(value))
        assert not physics.is_sound(spec, body.replace(motion=motion))


def test_reach_expert_solves_all_worlds_and_stillness_none(play_reach, expert_reach) -> None:
    _, end, records = expert_reach
    assert float(end.metrics["success"].mean()) == 1.0
    assert float(end.metrics["diverged"].max()) == 0.0
    # Success is never taken back.
    assert np.all(np.diff(np.asarray(records["metrics"]["success"]), axis=1) >= 0)
    _, still, _ = play_reach(clean(range(WORLDS)), actions(tick=(0, 0, 0, 0, 0, 0, 1)), ~ones())
    assert float(still.metrics["success"].sum()) == 0.0
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.03, 0.03, (WORLDS, TICKS, 7)).astype(np.float32)
    _, lost, _ = play_reach(clean(range(WORLDS)), noise, ~ones())
    assert float(lost.metrics["success"].mean()) < 0.05


def test_untouched_cubes_stay(play_reach) -> None:
    start, still, _ = play_reach(clean(range(WORLDS)), actions(tick=(0, 0, 0, 0, 0, 0, 0)), ~ones())
    moved = still.pipeline_state.body.position - start.pipeline_state.body.position
    for cube in scene.places(TASKS["reach"].scene).blocks:
        np.testing.assert_allclose(np.asarray(moved)[:, cube : cube + 7], 0.0, atol=2e-3)


def test_unknown_tasks_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="reach, push"):
        TabletopEnv("juggle")
