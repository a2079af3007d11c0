"""A trained run as a policy: what it asks the worlds for."""

import dataclasses
from typing import Any, cast

import numpy as np
import pytest

from configs.recipe import config
from wamjax.data.normalising.normalise import Normaliser
from wamjax.eval.trained_run import TrainedRun


def test_a_system_that_is_shown_executed_actions_asks_the_worlds_for_them(monkeypatch):
    run = config("lingbot_va")
    with pytest.raises(ValueError, match=r"system.past_actions is 8 but data.past_actions is None"):
        dataclasses.replace(run, system=dataclasses.replace(run.system, past_actions=8))
    shown = dataclasses.replace(
        run,
        system=dataclasses.replace(cast(Any, run.system), past_actions=8),
        data=dataclasses.replace(run.data, past_actions=8),
    )
    ones = np.ones(7, np.float32)
    same = Normaliser(shift=0 * ones, scale=ones, inverse=ones, mask=ones > 0)
    for name in ("action_normaliser", "proprio_normaliser"):
        monkeypatch.setattr(TrainedRun, name, property(lambda self: same))
    nothing: Any = None
    for settings, past, width in ((run, 0, 0), (shown, 8, 7)):
        trained = TrainedRun(config=settings, statistics=nothing, weights={}, step=0, final=None)
        needs = trained.policy(("primary", "wrist")).needs
        assert needs is not None
        assert (needs.past_actions, needs.action) == (past, width)
        assert needs.offsets.tolist() == [-4, 0]
