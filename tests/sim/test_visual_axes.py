"""What is only seen or said does not touch the physics, so the expert succeeds all the same."""

import jax
import numpy as np
import pytest

from tests.sim.conftest import play, stack
from wamjax.sim.axes import SEVERITIES, sub_axes
from wamjax.sim.env import TabletopEnv
from wamjax.sim.variants import make_variant

SEEDS = 8
ROWS = [
    (axis, sub_axis)
    for axis in ("camera", "light", "background", "noise", "language")
    for sub_axis in sub_axes(axis)
]


@pytest.fixture(scope="module")
def history() -> dict[str, np.ndarray]:
    """Lift, played by the expert: arrays [1 + sub-axes, SEEDS, ticks, ...], the first row clean.

    A world has the same place in every batch: XLA's vectorised sines differ in the last bit between
    the body and the rest of a loop.
    """
    env = TabletopEnv("lift", physics="c", props=False)
    program = play(env, env.horizon)
    zeros = np.zeros((SEEDS, env.horizon, env.action_size), np.float32)
    rows = []
    for axis, sub_axis in [(None, None), *ROWS]:
        severity = SEVERITIES if axis else 0
        worlds = stack([make_variant(axis, sub_axis, severity, seed) for seed in range(SEEDS)])
        records = jax.device_get(program(worlds, zeros, np.ones(SEEDS, bool))[2])
        shown = {name: records[name] for name in ("position", "obs", "action", "proprio")}
        rows.append({"success": records["metrics"]["success"], **shown})
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def test_the_expert_succeeds_under_every_visual_sub_axis(history) -> None:
    rates = (history["success"][:, :, -1] > 0.5).mean(axis=1)
    for name, rate in zip(["clean", *map("/".join, ROWS)], rates, strict=True):
        print(f"{name}: {100 * rate:.0f} % of {SEEDS}")
        assert rate >= 0.9, name


def test_every_step_is_the_clean_twins_bit_for_bit(history) -> None:
    assert np.ptp(history["position"][0], axis=0).max() > 0.01
    for name, values in history.items():
        for row, world in zip(ROWS, values[1:], strict=True):
            np.testing.assert_array_equal(world, values[0], err_msg=f"{name} under {row}")
