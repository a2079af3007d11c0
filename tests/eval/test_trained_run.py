"""A trained run as a policy: what it asks the worlds for."""

import dataclasses
from typing import Any, cast

import numpy as np
import pytest

from wamjax.cli.recipe_run import recipe_run
from wamjax.core.errors import UserError
from wamjax.data.normalising.normalise import Normaliser
from wamjax.data.normalising.placed import Places
from wamjax.data.windows.seats import Seat
from wamjax.eval.trained_run import TrainedRun, sat


def test_a_system_that_is_shown_executed_actions_asks_the_worlds_for_them(monkeypatch):
    run = recipe_run("lingbot_va")
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
    monkeypatch.setattr(TrainedRun, "from_state", None)
    for settings, past, width in ((run, 0, 0), (shown, 8, 7)):
        trained = TrainedRun(config=settings, statistics=nothing, weights={}, step=0, final=None)
        needs = trained.policy(("primary", "wrist")).needs
        assert needs is not None
        assert (needs.past_actions, needs.action) == (past, width)
        assert needs.offsets.tolist() == [-4, 0]


def test_nothing_held_out_is_told_in_one_sentence():
    run = recipe_run("fast_wam")
    whole = dataclasses.replace(run, data=dataclasses.replace(run.data, holdout=0.0))
    nothing: Any = None
    trained = TrainedRun(config=whole, statistics=nothing, weights={}, step=0, final=None)
    with pytest.raises(UserError, match=r"held no episode out \(data.holdout = 0\)"):
        trained.held_out()


def test_a_policy_of_a_mixture_acts_as_its_own_embodiment():
    """The system's config says which, where it has weights for each."""
    seat = Seat("arm", ("primary", "wrist"), (0,), Places((0,), 7), Places((0,), 7), 2, 10.0)
    for name, embodiment in (("x_vla", 2), ("pi0", None)):
        assert cast(Any, sat(recipe_run(name), seat).system).embodiment == embodiment
