"""The gap is paired world by world, and the order of policies is compared over domains."""

import dataclasses

import numpy as np
import pytest

from tests.eval.study.made_up import played, study
from wamjax.eval.study.study import Study
from wamjax.eval.study.transfer import WHOLE, transfer
from wamjax.eval.study.tried import in_order


@pytest.fixture(scope="module")
def both() -> Study:
    return study(domains=("source", "target"))


def test_domains_of_the_same_successes_agree(both: Study):
    episodes = [e for e in played(both) if e.condition.endswith("source")]
    twins = [
        dataclasses.replace(e, condition=e.condition.replace("source", "target")) for e in episodes
    ]
    found = transfer(both, in_order(both, [*episodes, *twins]))
    whole = found["agreement"][WHOLE]
    assert whole["policies"] == 4 * 2
    assert whole["pearson"]["value"] == pytest.approx(1.0)
    assert whole["spearman"]["value"] == pytest.approx(1.0)
    assert whole["mmrv"]["value"] == 0.0
    assert whole["gap"]["value"] == 0.0
    for row in found["gaps"].values():
        assert all(cell["value"] == 0.0 for cell in row["cells"].values())
    for point in found["points"]:
        assert point["source"] == point["target"]


def test_the_gap_is_target_minus_source(both: Study):
    episodes = list(played(both))
    found = transfer(both, in_order(both, episodes))
    for key, row in found["gaps"].items():
        for domain in ("source", "target"):
            mine = [e.success for e in episodes if e.condition == key.replace("source", domain)]
            assert row["cells"][WHOLE][domain]["successes"] == sum(mine)
        cell = row["cells"][WHOLE]
        assert cell["value"] == pytest.approx(cell["target"]["rate"] - cell["source"]["rate"])
    labels = [row["label"] for row in found["gaps"].values()]
    assert not any("source" in label or "target" in label for label in labels)


def test_policies_that_are_all_alike_have_no_correlation(both: Study):
    episodes = [dataclasses.replace(e, success=True) for e in played(both)]
    found = transfer(both, in_order(both, episodes))
    assert found["agreement"][WHOLE]["pearson"] is None
    assert np.isclose(found["agreement"][WHOLE]["mmrv"]["value"], 0.0)
