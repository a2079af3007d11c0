"""One way each time is 0, all ways alike often 1; what a world decides is not a policy's choice."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from tests.eval.study.made_up import arm, played, study
from wamjax.eval.evaluate import PATH_POINTS
from wamjax.eval.study import Worlds
from wamjax.eval.study.diversity import WIDTH, diversity
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


def paths(often: Study, sideways: Callable[[Episode], int]) -> dict:
    """Straight paths of 70 cm, moved sideways by so many mm."""

    def path(episode: Episode) -> str:
        return " ".join(f"{100 * step} {sideways(episode)} 0" for step in range(PATH_POINTS))

    episodes = [
        dataclasses.replace(e, success=e.world % 3 > 0, path=path(e)) for e in played(often)
    ]
    return diversity(often, in_order(often, episodes))[KEY]["tasks"]["reach"]["trajectories"]


def test_one_path_from_each_state_is_no_diversity_and_two_apart_are_two(often: Study):
    assert paths(often, lambda e: 50 * e.world)["value"] == pytest.approx(0.0, abs=1e-6)
    apart = paths(often, lambda e: 1000 * e.repeat)
    assert apart["value"] == pytest.approx(np.log(2), abs=1e-6)
    assert apart["states"] * often.worlds.repeats == apart["successes"]
    near = paths(often, lambda e: round(1000 * WIDTH) * e.repeat)["value"]
    # The eigenvalues of two paths 0.61 alike.
    shares = (1 + np.array([1, -1]) * np.exp(-0.5)) / 2
    assert near == pytest.approx(-(shares * np.log(shares)).sum(), abs=1e-6)


def test_without_tracked_paths_nothing_is_said_of_them(often: Study):
    assert found(often, lambda e: MODES[0])["trajectories"] is None
