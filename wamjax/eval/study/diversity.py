"""How many ways of solving a task a condition takes (D3IL, arXiv 2402.14606).

    entropy              of the modes among the successes, over the log of their number: 0 ... 1
    given the state      the same in each world by itself, mean over worlds with two successes
    trajectories         given the state, too: entropy of the tools' paths under a Gaussian kernel
                         of WIDTH, in nats, where paths were tracked

Worlds are rolled out `repeats` times with draws of their own. Training seeds count as states of
their own in the conditional entropy, and are together in the other.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from wamjax.eval.diversity import (
    gaussian_gram,
    mode_entropy,
    mode_entropy_given_state,
    trajectory_entropy_given_state,
)
from wamjax.eval.evaluate import PATH_POINTS
from wamjax.eval.study.study import Study
from wamjax.eval.study.transfer import told
from wamjax.eval.study.tried import Tried
from wamjax.sim.tasks.registry import find_task

WIDTH = 0.05
"""Metres: paths so far apart, root mean square, are exp(-1/2) = 0.61 alike."""


def diversity(study: Study, tried: Mapping[str, Tried]) -> dict[str, Any]:
    """Condition -> task -> successes and both entropies; null where there is too little."""
    out: dict[str, Any] = {}
    for condition in study.conditions:
        mine = tried[condition.key]
        out[condition.key] = {
            "label": condition.labelled(study),
            "tasks": {
                task: _of_task(mine, mine.task == place, find_task(task).modes)
                for place, task in enumerate(study.tasks)
                if len(find_task(task).modes) > 1
            },
        }
    return out


def _of_task(tried: Tried, mask: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    number = {name: place for place, name in enumerate(("", *names), -1)}
    modes = np.array([number[tried.episodes[place].mode] for place in np.flatnonzero(mask)])
    # Of a success whose way did not show, nothing is known.
    success = tried.success[mask] & (modes >= 0)
    _, states = np.unique(
        np.stack([tried.seed[mask], tried.world[mask]], axis=1), axis=0, return_inverse=True
    )
    found: dict[str, Any] = {
        "successes": int(success.sum()),
        "episodes": len(success),
        "modes": {
            name: int((success & (modes == place)).sum()) for place, name in enumerate(names)
        },
    }
    for name, measure in (("entropy", mode_entropy), ("given_state", mode_entropy_given_state)):
        of = measure(modes, success, states.ravel(), count=len(names))
        entropy = told(of.entropy)
        found[name] = entropy and entropy | {
            "corrected": of.corrected,
            "successes": of.successes,
            "states": of.states,
        }
    found["trajectories"] = _of_paths(tried, np.flatnonzero(mask), states.ravel())
    return found


def _of_paths(tried: Tried, places: np.ndarray, states: np.ndarray) -> dict[str, Any] | None:
    """Of the successes whose path was tracked; None where no world has two."""
    known = [tried.success[place] and tried.episodes[place].path != "" for place in places]
    places, states = places[known], states[known]
    _, counts = np.unique(states, return_counts=True)
    if not (counts > 1).any():
        return None
    numbers = [tried.episodes[place].path.split() for place in places]
    # [N, points x 3 R]; a path is a row of points whatever the number of arms.
    paths = np.array(numbers, np.float64).reshape(len(places), PATH_POINTS, -1) / 1000
    gram = gaussian_gram(paths, width=WIDTH)
    entropy = told(trajectory_entropy_given_state(gram, states))
    return entropy and entropy | {"successes": len(places), "states": int((counts > 1).sum())}
