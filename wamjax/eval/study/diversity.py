"""How many ways of solving a task a condition takes (D3IL, arXiv 2402.14606).

    entropy              of the modes among the successes, over the log of their number: 0 ... 1
    given the state      the same in each world by itself, mean over worlds with two successes

Worlds are rolled out `repeats` times with draws of their own. Training seeds count as states of
their own in the conditional entropy, and are together in the other.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from wamjax.eval.diversity import mode_entropy, mode_entropy_given_state
from wamjax.eval.study.study import Study
from wamjax.eval.study.transfer import told
from wamjax.eval.study.tried import Tried
from wamjax.sim.tasks.registry import find_task


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
    return found
