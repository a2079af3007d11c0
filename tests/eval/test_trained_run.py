"""What a trained run refuses before anything is compiled."""

import dataclasses
from typing import Any, cast

import pytest

from configs.recipe import config
from wamjax.core.errors import UserError
from wamjax.eval.trained_run import TrainedRun


def test_a_system_that_is_shown_executed_actions_is_no_policy_for_rollouts():
    run = config("lingbot_va")
    with pytest.raises(ValueError, match=r"system.past_actions is 8 but data.past_actions is None"):
        dataclasses.replace(run, system=dataclasses.replace(run.system, past_actions=8))
    shown = dataclasses.replace(
        run,
        system=dataclasses.replace(cast(Any, run.system), past_actions=8),
        data=dataclasses.replace(run.data, past_actions=8),
    )
    nothing: Any = None
    trained = TrainedRun(config=shown, statistics=nothing, weights={}, step=0, final=None)
    with pytest.raises(UserError, match="rollouts do not deliver"):
        trained.policy(("image", "wrist_image"))
