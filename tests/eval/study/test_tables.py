"""study.json: rates are counts, comparisons are paired in the same worlds, causes cover all."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.stats

from tests.eval.study.made_up import RATES, WORLDS, budgets, costs, played, rewarded, study
from wamjax.eval.study.records import Episode
from wamjax.eval.study.study import Study
from wamjax.eval.study.tables import CAUSES, cause, results, verdict
from wamjax.eval.study.tried import in_order
from wamjax.eval.worlds import AXES, CLEAN


@pytest.fixture(scope="module")
def made() -> Study:
    return study()


@pytest.fixture(scope="module")
def episodes(made: Study) -> list[Episode]:
    return list(played(made))


@pytest.fixture(scope="module")
def paid(made: Study) -> dict:
    return costs(made)


@pytest.fixture(scope="module")
def found(made: Study, episodes: list[Episode], paid: dict) -> dict:
    return results(made, episodes, paid)


def test_every_rate_is_its_count(found: dict, made: Study, episodes: list[Episode]):
    for key, row in found["conditions"].items():
        for axis, cell in row["cells"].items():
            mine = [e for e in episodes if e.condition == key and e.axis == axis]
            assert cell["episodes"] == len(mine) == WORLDS[axis] * 2 * len(made.seeds)
            assert cell["successes"] == sum(e.success for e in mine)
        for task, cells in row["tasks"].items():
            for axis, cell in cells.items():
                mine = [e for e in episodes if (e.condition, e.task, e.axis) == (key, task, axis)]
                assert cell["successes"] == sum(e.success for e in mine)
        rates = [row["cells"][axis]["rate"] for axis in AXES]
        assert row["mean_without_clean"] == pytest.approx(np.mean(rates))
        whole = [*rates, row["cells"][CLEAN]["rate"]]
        assert row["mean_with_clean"] == pytest.approx(np.mean(whole))
        assert row["axes_together"]["value"] == pytest.approx(np.mean(rates))


def test_parts_add_up_to_the_whole(found: dict):
    for row in found["conditions"].values():
        hard = sum(row["cells"][axis]["episodes"] for axis in AXES)
        assert sum(cell["episodes"] for cell in row["by_severity"].values()) == hard
        assert sum(cell["axes"]["episodes"] for cell in row["seeds"].values()) == hard
        assert sum(row["causes"].values()) == hard + row["cells"][CLEAN]["episodes"]
        assert sum(row["modes"].values()) == row["causes"]["solved"]


def test_comparisons_are_paired(found: dict, episodes: list[Episode]):
    row = found["conditions"]["joint/clean/1/own/source"]
    worlds: dict[tuple, dict[str, bool]] = {}
    for e in episodes:
        worlds.setdefault((e.seed, e.task, e.world, e.axis), {})[e.condition] = e.success
    for axis, cell in row["against"]["cells"].items():
        pairs = [
            (it["joint/clean/1/own/source"], it["direct/clean/1/own/source"])
            for (*_, where), it in worlds.items()
            if where == axis
        ]
        gained = sum(mine and not theirs for mine, theirs in pairs)
        lost = sum(theirs and not mine for mine, theirs in pairs)
        assert (cell["only_mine"], cell["only_theirs"]) == (gained, lost)
        assert cell["value"] == pytest.approx((gained - lost) / len(pairs))
        p = scipy.stats.binomtest(gained, gained + lost).pvalue
        assert cell["p_mcnemar"] == pytest.approx(p)
        assert cell["low"] <= cell["value"] <= cell["high"]
        assert cell["p_holm"] >= cell["p_mcnemar"]


def test_the_reference_is_compared_with_nothing(found: dict):
    assert found["conditions"]["direct/clean/1/own/source"]["against"] is None


def test_a_large_difference_is_better_and_none_is_none(made: Study, paid: dict):
    same = results(made, list(played(made, dict.fromkeys(RATES, 0.5))), paid)
    tied = same["conditions"]["joint/clean/1/own/source"]["against"]["axes_together"]
    assert tied["verdict"] == "no difference shown"
    wide = results(made, list(played(made, {"direct": 0.9, "cotrain": 0.1, "joint": 0.9})), paid)
    lost = wide["conditions"]["cotrain/clean/1/own/source"]["against"]["axes_together"]
    assert lost["verdict"] == "worse"


def test_a_difference_of_one_seed_alone_is_none_shown():
    cell = {"value": 0.1, "p_holm": 0.001, "with_seeds": {"low": -0.02, "high": 0.2}}
    assert verdict(cell) == "no difference shown"
    assert verdict(cell | {"with_seeds": {"low": 0.01, "high": 0.2}}) == "better"


def test_the_order_of_the_records_does_not_matter(
    made: Study, episodes: list[Episode], paid: dict, found: dict
):
    shuffled = [episodes[place] for place in np.random.default_rng(0).permutation(len(episodes))]
    assert results(made, shuffled, paid) == found


def test_other_worlds_are_refused(made: Study, episodes: list[Episode], paid: dict):
    gone = [e for e in episodes if not (e.condition.startswith("joint") and e.world == 3)]
    with pytest.raises(ValueError, match="same worlds"):
        results(made, gone, paid)


def test_results_are_json(found: dict):
    assert json.loads(json.dumps(found, allow_nan=False))["name"] == "made_up"


def test_costs_follow_the_checkpoints(made: Study, paid: dict):
    half = dataclasses.replace(made, checkpoints=(0.5, 1.0))
    told = results(half, list(played(half)), costs(half))["conditions"]
    whole = told["joint/clean/1/own/source"]["cost"]
    part = told["joint/clean/0.5/own/source"]["cost"]
    assert part["train_flops"] == pytest.approx(whole["train_flops"] / 2)
    assert part["train_seconds"] == pytest.approx(whole["train_seconds"] / 2)


def test_rl_adds_to_what_it_goes_on_from(made: Study):
    direct = made.arm("direct")
    both = dataclasses.replace(made, arms=(direct, rewarded(direct)), checkpoints=(0.5, 1.0))
    rates, alike = {"direct": 0.5, "direct_rl": 0.7}, budgets(both)["direct"]
    paid = costs(both, dict.fromkeys(rates, alike))
    told = results(both, list(played(both, rates)), paid)["conditions"]
    spent = {key.removesuffix("/own/source"): row["cost"] for key, row in told.items()}
    before, half, whole = (
        spent[key] for key in ("direct/clean/1", "direct_rl/clean/0.5", "direct_rl/clean/1")
    )
    for name, own in (("train_flops", 1.4e13), ("train_seconds", 205.0)):
        assert half[name] == pytest.approx(before[name] + own / 2)
        assert whole[name] == pytest.approx(before[name] + own)


@pytest.mark.parametrize(
    ("change", "ended"),
    [
        ({"success": True}, "solved"),
        ({"diverged": True}, "diverged"),
        ({"closest": None, "distance": None}, "diverged"),
        ({"closest": 0.01, "distance": 0.10}, "lost"),
        ({"closest": 0.02, "distance": 0.02}, "nearly"),
        ({"closest": 0.20, "distance": 0.21}, "missed"),
    ],
)
def test_how_an_episode_ended(episodes: list[Episode], change: dict, ended: str):
    failed = dataclasses.replace(
        episodes[0], success=False, diverged=False, closest=0.2, distance=0.2
    )
    assert cause(dataclasses.replace(failed, **change)) == ended
    assert ended in CAUSES


def test_conditions_have_one_order(made: Study, episodes: list[Episode]):
    orders = {
        key: [(e.seed, e.repeat, e.task, e.world) for e in tried.episodes]
        for key, tried in in_order(made, episodes).items()
    }
    assert len({*map(str, orders.values())}) == 1
