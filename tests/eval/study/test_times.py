"""Steps of all arms, measured side by side, and what a training takes by them."""

import dataclasses

import pytest

from tests.eval.study import made_up
from tests.recipes import systems
from wamjax.eval.study import Arm, tables, times, wording
from wamjax.eval.study.matching import Budget
from wamjax.recipes.objectives import Training

SHORT = {"rounds": 2, "each": 1}

pytestmark = pytest.mark.usefixtures("one_device", "quick_to_compile")


def small(training: Training) -> Arm:
    """An arm of little to compile."""
    arm = made_up.arm(training)
    train = dataclasses.replace(arm.config.train, batch=2, steps=12)
    data = dataclasses.replace(arm.config.data, image_size=systems.SMALL.image_size)
    same = {name: getattr(data, name) for name in ("frame_stride", "chunk", "text_length")}
    system = dataclasses.replace(systems.SMALL, training=training, **same)
    config = dataclasses.replace(arm.config, train=train, system=system, data=data)
    return dataclasses.replace(arm, config=config)


@pytest.fixture(scope="module")
def study():
    """Of arms with one and with two stages, and one of RL."""
    arms = (small("direct"), small("two_stage"))
    return made_up.study(
        arms=(*arms, made_up.rewarded(arms[0])), differs=("parameters", "budget", "windows")
    )


@pytest.fixture(scope="module")
def found(study):
    lines = []
    measured = times.step_times(study, **SHORT, told=lines.append)
    rounds = ["round 1 of 2", "round 2 of 2"]
    assert lines == ["compile direct", "compile two_stage", *rounds]
    return measured


@pytest.mark.slow
def test_every_stage_of_every_arm_is_measured(study, found):
    assert found["steps"] == 2
    assert [*found["arms"]] == ["direct", "two_stage"]
    for arm in study.arms[:2]:
        stages = found["arms"][arm.name]["stages"]
        assert [stage["name"] for stage in stages] == [part.name for part in arm.config.stages]
        assert stages[-1]["end"] == arm.config.train.steps
        assert all(0 < stage["p50_ms"] <= stage["p95_ms"] for stage in stages)
    assert times.usable(study, found)


@pytest.mark.slow
def test_they_are_not_those_of_another_config(study, found):
    arm = study.arms[0]
    train = dataclasses.replace(arm.config.train, batch=7)
    other = dataclasses.replace(arm, config=dataclasses.replace(arm.config, train=train))
    assert not times.usable(dataclasses.replace(study, arms=(other, *study.arms[1:])), found)
    renamed = dataclasses.replace(arm, config=dataclasses.replace(arm.config, name="other"))
    assert times.usable(dataclasses.replace(study, arms=(renamed, *study.arms[1:])), found)
    fewer = {"arms": {name: told for name, told in found["arms"].items() if name != "direct"}}
    assert not times.usable(study, fewer)


MADE_UP = {
    "steps": 32,
    "device": made_up.DEVICE,
    "arms": {
        "direct": {"stages": [{"name": "main", "end": 100, "p50_ms": 20.0}]},
        "cotrain": {
            "stages": [
                {"name": "world", "end": 40, "p50_ms": 50.0},
                {"name": "behaviour", "end": 100, "p50_ms": 10.0},
            ]
        },
    },
}


@pytest.mark.parametrize(
    ("arm", "step", "seconds"),
    [
        ("direct", 0, 0.0),
        ("direct", 100, 2.0),
        ("direct", 25, 0.5),
        ("cotrain", 40, 2.0),
        ("cotrain", 50, 2.1),
        ("cotrain", 100, 2.6),
    ],
)
def test_a_training_takes_the_steps_of_each_stage(arm, step, seconds):
    assert times.seconds_until(MADE_UP, arm, step) == pytest.approx(seconds)


def test_a_condition_costs_what_was_measured_side_by_side_where_it_was():
    study = made_up.study(
        arms=(made_up.arm("direct"), made_up.arm("cotrain")), checkpoints=(0.5, 1.0)
    )
    study = dataclasses.replace(
        study, arms=(*study.arms, made_up.rewarded(study.arms[0])), differs=("budget",)
    )
    budgets = {arm.name: Budget(1, {"main": 1}, 100, 1, ((100, 1e9),), 1.0) for arm in study.arms}
    costs = made_up.costs(study, budgets)

    def seconds(told):
        return {
            (condition.arm.name, condition.fraction): tables.cost(
                study, condition, budgets[condition.arm.name], costs | {"times": told}
            )["train_seconds"]
            for condition in study.conditions
        }

    # Seeds 0 and 1 took 200 and 210 seconds, whatever the arm.
    assert seconds(None) == {
        ("direct", 0.5): 102.5,
        ("direct", 1.0): 205.0,
        ("cotrain", 0.5): 102.5,
        ("cotrain", 1.0): 205.0,
        ("direct_rl", 0.5): 205 + 102.5,
        ("direct_rl", 1.0): 410.0,
    }
    assert seconds(MADE_UP) == pytest.approx(
        {
            ("direct", 0.5): 1.0,
            ("direct", 1.0): 2.0,
            ("cotrain", 0.5): 2.1,
            ("cotrain", 1.0): 2.6,
            ("direct_rl", 0.5): 2 + 102.5,
            ("direct_rl", 1.0): 2 + 205.0,
        }
    )


def test_the_page_says_which_time_it_is():
    results = made_up.results(made_up.study())
    assert "as it ran" in wording.time_is(results)
    told = wording.time_is({**results, "times": MADE_UP})
    assert "median of 32" in told
    assert made_up.DEVICE in told
