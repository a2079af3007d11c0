"""`wamjax sample --steps`: the same run in another number of solver steps."""

import dataclasses
from typing import Any

import pytest

from wamjax.cli.quickstart_config import CONFIG, with_system
from wamjax.cli.sample import in_steps
from wamjax.core.errors import UserError
from wamjax.eval.trained_run import TrainedRun

NOTHING: Any = None


def run(**changes) -> TrainedRun:
    config = with_system("any", dataclasses.replace(CONFIG.system, **changes))
    return TrainedRun(config=config, statistics=NOTHING, weights={}, step=0, final=None)


def test_only_the_steps_change():
    trained = run()
    assert in_steps(trained, None) is trained
    fewer = in_steps(trained, 2).config
    assert fewer.system == dataclasses.replace(CONFIG.system, solver_steps=2)
    assert (fewer.data, fewer.train) == (CONFIG.data, CONFIG.train)


@pytest.mark.parametrize(
    ("changes", "steps", "sentence"),
    [
        ({}, 0, "--steps must be at least 1, got 0"),
        ({"jump": "shortcut", "solver_steps": 1}, 3, "--steps 3: .* 1, 2, 4, 8, 16 under jump"),
        ({"evaluated": (0, 3)}, 3, "--steps 3: evaluated steps .* stay below 3"),
    ],
)
def test_steps_that_the_sampler_cannot_take_are_refused(changes, steps, sentence):
    with pytest.raises(UserError, match=sentence):
        in_steps(run(**changes), steps)
