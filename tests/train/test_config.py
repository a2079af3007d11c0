import dataclasses

import pytest

from tests.train.toy import TWO_STAGES
from wamjax.core.config import from_flags, from_json, to_flags, to_json
from wamjax.core.errors import UserError
from wamjax.train.config import StageConfig, TrainConfig
from wamjax.train.stages import stage_index, stages_of


def test_the_config_comes_back_from_flags_and_json():
    config = TrainConfig(stages=TWO_STAGES)
    assert from_flags(TrainConfig, to_flags(config)) == config
    assert from_json(TrainConfig, to_json(config)) == config


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("beta2", 1.0), ("warmup", 1.5), ("clip", 0.0), ("learning_rate", -1.0)],
)
def test_values_without_meaning_are_refused(name: str, value: float):
    flags = to_flags(TrainConfig())
    flags[name] = value
    with pytest.raises(UserError, match=f"{name} must be"):
        from_flags(TrainConfig, flags)


def test_stages_cover_the_steps_once():
    for steps in (10, 11, 997):
        stages = stages_of(TWO_STAGES, steps)
        assert [stage.start for stage in stages] == [0, stages[0].end]
        assert stages[-1].end == steps
        owners = [stage_index(stages, step) for step in range(steps)]
        assert owners == [0] * stages[0].steps + [1] * stages[1].steps
        assert stage_index(stages, steps) == 1


def test_stages_without_a_step_or_that_do_not_sum_to_one_are_refused():
    with pytest.raises(UserError, match="gets no step"):
        stages_of(TWO_STAGES, 1)
    with pytest.raises(ValueError, match="sum to 1"):
        TrainConfig(stages=TWO_STAGES[:1])
    with pytest.raises(ValueError, match="different names"):
        TrainConfig(stages=tuple(StageConfig(fraction=0.5) for _ in range(2)))


def test_configs_are_values():
    assert hash(TrainConfig()) == hash(dataclasses.replace(TrainConfig()))
