"""Success against costs: what is drawn, and what nothing beats."""

import dataclasses
from collections.abc import Callable

from wamjax.eval import wording as numbers
from wamjax.eval.study import looks
from wamjax.eval.study.looks import Results


@dataclasses.dataclass(frozen=True)
class Front:
    """Success against a cost.

    Attributes:
        cost: name of the cost in study.json.
        says: name of the cost for people.
        short: the same in a word.
        spell: a cost as text.
        groups: which conditions a line joins.
        checkpoints: whether those before the last are drawn, too.
    """

    cost: str
    says: str
    short: str
    spell: Callable[[float], str]
    groups: Callable[..., dict[tuple[str, ...], list[str]]]
    checkpoints: bool


FRONTS = {
    "success_flops": Front(
        "train_flops", "training FLOPs", "FLOPs", numbers.big, looks.lines, True
    ),
    "success_seconds": Front(
        "train_seconds", "training time", "time", numbers.duration, looks.lines, True
    ),
    "success_memory": Front(
        "memory", "memory of training, a device", "memory", numbers.size, looks.lines, True
    ),
    "success_latency": Front(
        "ms_per_chunk", "milliseconds a chunk", "latency", "{:g}".format, looks.samplers, False
    ),
}


def on_front(results: Results, name: str) -> dict[str, bool]:
    """Condition drawn in a front -> whether none is better at its cost."""
    front, rows = FRONTS[name], results["conditions"]
    drawn = list(rows) if front.checkpoints else looks.final(results)
    points = {
        key: (rows[key]["cost"][front.cost], rows[key]["together"]["value"])
        for key in looks.at_home(results, drawn)
    }
    best = looks.undominated(points)
    return {key: key in best for key in points}
