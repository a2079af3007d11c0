"""One way each time is 0, all ways alike often 1; what a world decides is not a policy's choice."""

import dataclasses
from collections.abc import Callable

import pytest

from tests.eval.study.made_up import arm, played, study
from wamjax.eval.study import Worlds
from wamjax.eval.study.diversity import diversity
from wamjax.eval.study.records import Episode
from wamjax.eval.study.study import Study
from wamjax.eval.study.tried import in_order
from wamjax.sim.tasks.registry import find_task

MODES = find_task("reach").modes
KEY = "direct/clean/1/own/source"


@pytest.fixture(scope="module")
def often() -> Study:
    worlds = Worlds(manifest="", clean=30, each=20, repeats=2)
    return study(arms=(arm("direct"),), tasks=("reach",), worlds=worlds)


def found(often: Study, way: Callable[[Episode], str]) -> dict:
    episodes = [dataclasses.replace(e, success=True, mode=way(e)) for e in played(often)]
    return diversity(often, in_order(often, episodes))[KEY]["tasks"]["reach"]


def test_one_way_is_no_diversity(often: Study):
    told = found(often, lambda e: MODES[0])
    assert told["entropy"]["value"] == 0.0
    assert told["given_state"]["value"] == 0.0
    assert told["modes"][MODES[0]] == told["successes"] == told["episodes"]


def test_a_way_that_the_world_decides_is_no_choice(often: Study):
    told = found(often, lambda e: MODES[e.world % len(MODES)])
    assert told["entropy"]["value"] == pytest.approx(1.0)
    assert told["given_state"]["value"] == 0.0


def test_a_way_that_the_draw_decides_is_a_choice(often: Study):
    told = found(often, lambda e: MODES[e.repeat % len(MODES)])
    assert told["given_state"]["value"] == pytest.approx(1.0)


def test_a_way_that_did_not_show_counts_nowhere(often: Study):
    told = found(often, lambda e: "")
    assert told["successes"] == 0
    assert told["entropy"] is None
    assert told["given_state"] is None
