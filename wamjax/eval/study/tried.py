"""The episodes of a condition as arrays, in one order for all conditions."""

import collections
import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from wamjax.eval.statistics import Estimate
from wamjax.eval.study.records import Episode
from wamjax.eval.study.study import Study
from wamjax.eval.tally import rate
from wamjax.eval.worlds import AXES, CLEAN


@dataclasses.dataclass(frozen=True)
class Tried:
    """The episodes of a condition, by seed, repeat, task and world.

    Attributes:
        success: bool [N].
        seed, task, world: int [N]; `task` counts the study's tasks.
        axis: str [N].
        episodes: the records.
    """

    success: np.ndarray
    seed: np.ndarray
    task: np.ndarray
    world: np.ndarray
    axis: np.ndarray
    episodes: list[Episode]


def in_order(study: Study, episodes: Iterable[Episode]) -> dict[str, Tried]:
    """Condition -> its episodes."""
    groups: dict[str, list[Episode]] = collections.defaultdict(list)
    for episode in episodes:
        groups[episode.condition].append(episode)
    number = {task: place for place, task in enumerate(study.tasks)}
    found = {}
    for key, group in groups.items():
        group.sort(key=lambda e: (e.seed, e.repeat, number[e.task], e.world))
        found[key] = Tried(
            success=np.array([e.success for e in group]),
            seed=np.array([e.seed for e in group]),
            task=np.array([number[e.task] for e in group]),
            world=np.array([e.world for e in group]),
            axis=np.array([e.axis for e in group]),
            episodes=group,
        )
    return found


def same_worlds(one: Tried, other: Tried) -> None:
    """Refuse what cannot be compared world by world.

    Raises:
        ValueError: they were not tried in the same worlds at the same seeds.
    """
    places = [[(e.seed, e.repeat, e.task, e.world) for e in side.episodes] for side in (one, other)]
    if places[0] != places[1]:
        raise ValueError("the two were not tried in the same worlds at the same seeds")


def axes_in(tried: Tried) -> list[str]:
    """Clean and the axes that were tried, in their order."""
    there = {*tried.axis.tolist()}
    return [axis for axis in (CLEAN, *AXES) if axis in there]


def estimate(found: Estimate) -> dict[str, Any]:
    """As plain values."""
    return {"value": found.value, "low": found.low, "high": found.high}


def counted(success: np.ndarray) -> dict[str, Any]:
    """A rate with its count."""
    return rate(int(success.sum()), len(success))
