"""Policies in the target domain: the same worlds and draws as elsewhere, and clear refusals."""

import jax
import numpy as np
import pytest

from wamjax.cli.worlds import names
from wamjax.core.errors import UserError
from wamjax.eval.target_domain import TargetPrograms
from wamjax.eval.worlds import Worlds
from wamjax.policy.baselines import random_policy, still_policy
from wamjax.sim.axes import AXIS_NAMES
from wamjax.sim.env import TabletopEnv
from wamjax.sim.manifest import build_manifest
from wamjax.sim.target.play import HONOURED, Target

LOW, HIGH = np.full(7, -0.02, np.float32), np.full(7, 0.02, np.float32)
ENV = TabletopEnv("reach", physics="c", image_size=16)


def worlds(axes: tuple[str, ...]) -> Worlds:
    manifest = build_manifest(["reach"], axes, clean=3, per_axis=1, severities=(3,), seed=0)
    return Worlds(
        env=ENV,
        variants=manifest.variants("reach"),
        axes=tuple(row["axis"] for row in manifest.rows),
        rows=tuple(manifest.rows),
        horizon=ENV.horizon,
        modes=ENV.task.modes,
    )


@pytest.fixture(scope="module")
def place() -> Worlds:
    return worlds(("robot", "layout"))


@pytest.fixture(scope="module")
def stage(place):
    policies = {
        "random": random_policy(LOW, HIGH, chunk=4, replan=2),
        "still": still_policy(width=7, gripper_dim=6, chunk=4, replan=2),
    }
    with TargetPrograms(policies, {"reach": place}, batch=2, processes=1) as programs:
        yield programs


def test_worlds_do_not_depend_on_the_batch_they_are_played_in(stage, place) -> None:
    runner = stage.find("random", "reach", place)
    heard = []
    outcome = runner(place, jax.random.key(0), heard.append)
    assert sum(heard) == len(place.axes) == len(outcome.success) == 5
    again = runner.play(place, np.array([4, 1]), jax.random.key(0))
    np.testing.assert_allclose(again.closest, outcome.closest[[4, 1]], atol=1e-5)
    other = runner.play(place, np.array([4, 1]), jax.random.key(1))
    assert np.all(np.abs(other.closest - again.closest) > 1e-4)


def test_the_expert_does_what_the_domain_does_without_an_evaluation(stage, place) -> None:
    """Same worlds: the still policy's distances are those of a direct call."""
    outcome = stage.find("still", "reach", place)(place, jax.random.key(0), lambda done: None)
    still = np.zeros(7, np.float32)
    still[6] = 1.0
    with Target("reach", processes=1, image_size=16) as target:
        played = target.play(place.variants, lambda seen: np.tile(still, (5, 1)), draw=False)
    np.testing.assert_allclose(outcome.distance, played.distance, atol=5e-3)


def test_axes_that_the_domain_does_not_have_are_refused() -> None:
    for axis in sorted({*AXIS_NAMES} - {*HONOURED}):
        with pytest.raises(UserError, match=f"no {axis} axis"):
            TargetPrograms({}, {"reach": worlds((axis,))})
    assert names("all", HONOURED, "--axes") == HONOURED
