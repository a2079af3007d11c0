"""Arms are matched, or it is said in what they differ; FLOPs are those that training counts."""

import dataclasses

import pytest

from tests.eval.study.made_up import arm, rewarded, study
from wamjax.eval.study.matching import Budget, budget, unmatched, weights_of, with_equal_flops
from wamjax.eval.study.study import Arm
from wamjax.recipes.config import ContextConfig


def changed(source: Arm, name: str, **changes: object) -> Arm:
    """An arm whose config differs, `data` and `train` field by field."""
    config = source.config
    parts = {"name": name}
    for part, values in changes.items():
        parts[part] = dataclasses.replace(getattr(config, part), **values)  # pyright: ignore
    return dataclasses.replace(source, name=name, config=dataclasses.replace(config, **parts))


@pytest.fixture(scope="module")
def base() -> Arm:
    return arm("direct")


def found_in(base: Arm, other: Arm, **options: object) -> dict:
    compared = study(arms=(base, other), against=base.name, **options)
    return unmatched(compared, {a.name: budget(a.config) for a in compared.arms})


def test_objectives_of_one_system_are_matched(base: Arm):
    assert found_in(base, arm("joint")) == {}


@pytest.mark.parametrize(
    ("change", "aspect", "words"),
    [
        ({"data": {"seed": 3}}, "windows", "other has data.seed 3, direct has 0"),
        ({"data": {"holdout": 0.5}}, "windows", "data.holdout 0.5"),
        ({"train": {"batch": 32}}, "windows", "train.batch 32, direct has 64"),
        ({"train": {"steps": 99}}, "budget", "other takes 99 steps, direct 1,500"),
    ],
)
def test_what_differs_is_told(base: Arm, change: dict, aspect: str, words: str):
    told = found_in(base, changed(base, "other", **change))
    assert list(told) == [aspect]
    assert words in told[aspect][0]


def test_rl_on_top_is_told(base: Arm):
    assert found_in(base, rewarded(base)) == {
        "budget": ["direct_rl goes on from direct by 10 iterations of RL"]
    }


def test_more_weights_are_told(base: Arm):
    wide = changed(base, "wide", system={"context": ContextConfig(hidden=400)})
    assert weights_of(wide.config) > 1.05 * weights_of(base.config)
    assert "parameters" in found_in(base, wide)


def test_flops_of_stages_add_up():
    staged = budget(arm("two_stage").config)
    (first, each), (last, behind) = staged.course
    assert (first, last) == (750, 1500)
    assert staged.flops == 750 * each + 750 * behind
    assert staged.until(0) == 0
    assert staged.until(751) - staged.until(750) == behind
    assert Budget.of(dataclasses.asdict(staged)) == staged


def test_equal_flops_scale_the_steps(base: Arm):
    compared = study(arms=(base, arm("joint")), match="flops")
    budgets = {a.name: budget(a.config) for a in compared.arms}
    assert "budget" in unmatched(compared, budgets)
    scaled = with_equal_flops(compared, budgets)
    assert scaled.arm("joint").config.train.steps < 1500
    again = {a.name: budget(a.config) for a in scaled.arms}
    assert unmatched(scaled, again) == {}
