"""Who sees whom in a training sequence, drawn: a line for each run of tokens."""

import itertools

import numpy as np

from wamjax.model.config import WamConfig
from wamjax.model.layout import Layout, mask_of
from wamjax.recipes.assembly import AnyConfig, assembled
from wamjax.recipes.learner import Learner
from wamjax.recipes.objectives import PLANS


def sight(model: WamConfig, layout: Layout) -> list[str]:
    """The sequence's visibility: each run of tokens and whom it sees, # all, + some, . none.

    Columns are the rows in the same order. Stacks with a table of their own follow, with the runs
    that have keys or queries there.
    """
    rows = _drawn(layout, mask_of(model, layout))
    for name, _ in layout.own:
        rows += [f"in {name}:", *_drawn(layout, mask_of(model, layout, model.stack(name)))]
    return rows


def sight_of(config: AnyConfig, objective: str) -> list[str]:
    """As a system is trained for an objective; nothing for one without a sequence."""
    system = assembled(config)
    if isinstance(system, Learner):
        return sight(system.blueprint.model, system.blueprint.training)
    plan = {**PLANS}.get(objective)
    if plan is None:
        return []
    return sight(system.parts.whole, system.parts.layout(plan, plan.trained))


def _drawn(layout: Layout, mask: np.ndarray) -> list[str]:
    starts = layout.starts()
    runs = list(itertools.pairwise(starts))
    seen = mask | mask.T
    kept = [i for i, (a, b) in enumerate(runs) if seen[a:b].any()]
    names = [f"{s.kind} {s.block}" for s in layout.segments]
    width = max(len(names[i]) for i in kept)
    rows = []
    for q in kept:
        cells = [mask[slice(*runs[q]), slice(*runs[k])] for k in kept]
        marks = "".join("#" if cell.all() else "+" if np.any(cell) else "." for cell in cells)
        rows.append(f"  {names[q]:<{width}}  {marks}")
    return rows
