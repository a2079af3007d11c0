"""Records and costs -> study.json: rates with counts and intervals, paired differences, costs.

    rate of a condition      episodes of all tasks and seeds together, Wilson 95 %
    mean of seven axes       each axis weighs the same; with clean: clean is the eighth
    difference               condition minus its reference in the same worlds at the same seed:
                             Bonett and Price's interval; exact McNemar test, Holm-corrected over
                             clean and the axes; and an interval that draws the training seeds, too

A condition is called better or worse where the corrected test says so (0.05) and the interval that
draws seeds excludes 0: with few seeds a difference may be that of two trainings.
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from wamjax.core.config import difference, to_json
from wamjax.eval.statistics import (
    cluster_difference,
    cluster_rate,
    holm,
    mcnemar,
    paired_difference,
)
from wamjax.eval.study.diversity import diversity
from wamjax.eval.study.matching import Budget
from wamjax.eval.study.records import Episode
from wamjax.eval.study.study import Condition, Study
from wamjax.eval.study.times import seconds_until
from wamjax.eval.study.transfer import transfer
from wamjax.eval.study.tried import Tried, axes_in, counted, estimate, in_order, same_worlds
from wamjax.eval.worlds import CLEAN
from wamjax.recipes.sight import sight_of

LEVEL = 0.05
LOST = 0.03
"""Metres farther at the end than at the closest: it was there, and went away again."""
NEAR = 0.03
"""Metres: nearly there when time was up."""
COSTS = ("train_flops", "train_seconds", "memory")
Verdict = Literal["better", "worse", "no difference shown"]
Cause = Literal["solved", "other", "nearly", "lost", "missed", "diverged"]
CAUSES: dict[Cause, str] = {
    "solved": "solved",
    "other": "did what another instruction asks: the wrong object",
    "nearly": f"within {100 * NEAR:g} cm when time was up",
    "lost": f"was {100 * LOST:g} cm nearer before",
    "missed": "never came near",
    "diverged": "the physics diverged",
}


def cause(episode: Episode) -> Cause:
    """How an episode ended."""
    if episode.success:
        return "solved"
    if episode.other:
        return "other"
    if episode.diverged or episode.closest is None or episode.distance is None:
        return "diverged"
    if episode.distance - episode.closest > LOST:
        return "lost"
    return "nearly" if episode.distance <= NEAR else "missed"


def summary(study: Study, tried: Tried) -> dict[str, Any]:
    """Rates of a condition, all seeds together: whole, by axis, task, severity and seed; causes."""
    axes = axes_in(tried)
    cells = {axis: counted(tried.success[tried.axis == axis]) for axis in axes}
    perturbed = [cells[axis]["rate"] for axis in axes if axis != CLEAN]
    hard = tried.axis != CLEAN
    levels = np.array([episode.severity for episode in tried.episodes])
    causes = collections.Counter(cause(episode) for episode in tried.episodes)
    modes = collections.Counter(
        f"{e.task}: {e.mode}" for e in tried.episodes if e.success and e.mode
    )

    def by(values: np.ndarray, mask: np.ndarray) -> dict[str, dict[str, Any]]:
        return {
            str(value): counted(tried.success[mask & (values == value)])
            for value in np.unique(values[mask])
        }

    tasks = {}
    for place, task in enumerate(study.tasks):
        mine = tried.task == place
        tasks[task] = {
            axis: counted(tried.success[mine & (tried.axis == axis)])
            for axis in axes
            if (mine & (tried.axis == axis)).any()
        }
    return {
        "cells": cells,
        "mean_with_clean": _mean([cells[CLEAN]["rate"], *perturbed] if CLEAN in cells else []),
        "mean_without_clean": _mean(perturbed),
        "axes_together": _together(tried, hard) if hard.any() else None,
        "together": _together(tried, np.ones_like(hard)),
        "tasks": tasks,
        "severities": {axis: by(levels, tried.axis == axis) for axis in axes if axis != CLEAN},
        "by_severity": by(levels, hard),
        "seeds": {
            str(seed): {
                "clean": _rate_of(tried, (tried.seed == seed) & ~hard),
                "axes": _rate_of(tried, (tried.seed == seed) & hard),
            }
            for seed in np.unique(tried.seed)
        },
        "causes": {name: causes[name] for name in CAUSES},
        "modes": dict(sorted(modes.items())),
    }


def _mean(rates: Sequence[float]) -> float | None:
    return float(np.mean(rates)) if rates else None


def _rate_of(tried: Tried, mask: np.ndarray) -> dict[str, Any] | None:
    return counted(tried.success[mask]) if mask.any() else None


def _together(tried: Tried, mask: np.ndarray) -> dict[str, Any]:
    """The mean over clean and axes with an interval that draws the episodes of each anew."""
    success, (_, axis) = tried.success[mask], np.unique(tried.axis[mask], return_inverse=True)
    found = estimate(cluster_rate(success, axis, resample_tasks=False))
    return {"successes": int(success.sum()), "episodes": len(success), **found}


def compared(mine: Tried, theirs: Tried) -> dict[str, Any]:
    """A condition beside its reference: clean, each axis, and all axes together.

    Raises:
        ValueError: they were not tried in the same worlds.
    """
    same_worlds(mine, theirs)
    masks = {axis: mine.axis == axis for axis in axes_in(mine)}
    raw = {axis: mcnemar(mine.success[m], theirs.success[m]) for axis, m in masks.items()}
    corrected, cells = holm(raw), {}
    for axis, mask in masks.items():
        cells[axis] = _difference(mine, theirs, mask) | {
            "p_mcnemar": raw[axis],
            "p_holm": corrected[axis],
        }
    hard = mine.axis != CLEAN
    together = None
    if hard.any():
        p = mcnemar(mine.success[hard], theirs.success[hard])
        together = _difference(mine, theirs, hard) | {"p_mcnemar": p, "p_holm": p}
    return {
        "cells": {axis: cell | {"verdict": verdict(cell)} for axis, cell in cells.items()},
        "axes_together": together and together | {"verdict": verdict(together)},
    }


def _difference(mine: Tried, theirs: Tried, mask: np.ndarray) -> dict[str, Any]:
    one, other, seeds = mine.success[mask], theirs.success[mask], mine.seed[mask]
    found = paired_difference(one, other)
    _, place = np.unique(seeds, return_inverse=True)
    drawn = cluster_difference(one, other, place, resample_tasks=True)
    return {
        **estimate(found),
        "pairs": len(one),
        "only_mine": int((one & ~other).sum()),
        "only_theirs": int((other & ~one).sum()),
        "with_seeds": estimate(drawn),
        "seeds": {
            str(seed): float(one[seeds == seed].mean() - other[seeds == seed].mean())
            for seed in np.unique(seeds)
        },
    }


def verdict(cell: Mapping[str, Any]) -> Verdict:
    """See the module."""
    drawn = cell["with_seeds"]
    if cell["p_holm"] >= LEVEL or drawn["low"] <= 0 <= drawn["high"]:
        return "no difference shown"
    return "better" if cell["value"] > 0 else "worse"


def arm_facts(study: Study, budgets: Mapping[str, Budget]) -> dict[str, Any]:
    """Arm -> what it is, what it takes, who sees whom in each of its stages, and the settings in
    which it differs from the reference."""
    base = to_json(study.arm(study.against).config)
    facts = {}
    for arm in study.arms:
        rows = difference(to_json(arm.config), base)
        facts[arm.name] = {
            "says": arm.says,
            "differs": [list(row) for row in rows if row[0] != "name"],
            **dataclasses.asdict(budgets[arm.name]),
            "flops": budgets[arm.name].flops,
            "sees": {
                stage.name: sight_of(arm.config.system, stage.objective)
                for stage in arm.config.stages
            },
        }
    return facts


def results(study: Study, episodes: Iterable[Episode], costs: Mapping[str, Any]) -> dict[str, Any]:
    """The content of study.json.

    Args:
        study: what was run.
        episodes: all records.
        costs: what was counted and measured once, see `records`.
    """
    tried = in_order(study, episodes)
    budgets = {name: Budget.of(told) for name, told in costs["budgets"].items()}
    conditions = {}
    for condition in study.conditions:
        mine, reference = tried[condition.key], study.reference(condition)
        against = None
        if reference is not None and reference.key != condition.key:
            against = {"key": reference.key, **compared(mine, tried[reference.key])}
        facts = summary(study, mine)
        spent = cost(study, condition, budgets[condition.arm.name], costs)
        conditions[condition.key] = {
            "label": condition.labelled(study),
            "arm": condition.arm.name,
            "data": condition.data.name,
            "mode": condition.mode.name,
            "fraction": condition.fraction,
            "domain": condition.domain,
            **facts,
            "against": against,
            "cost": spent,
            "cost_per_point": per_point(spent, facts["together"]["value"]),
        }
    return {
        "name": study.name,
        "question": study.question,
        "against": study.against,
        "tasks": list(study.tasks),
        "seeds": list(study.seeds),
        "match": study.match,
        "unmatched": costs["unmatched"],
        "worlds": dataclasses.asdict(study.worlds),
        "manifest_sha256": costs["manifest_sha256"],
        "versions": costs["versions"],
        "devices": sorted({run["device"] for run in costs["runs"].values()}),
        "times": costs["times"],
        "arms": arm_facts(study, budgets),
        "conditions": conditions,
        "transfer": transfer(study, tried) if len(study.domains) > 1 else None,
        "diversity": diversity(study, tried) if study.worlds.repeats > 1 else None,
    }


def cost(
    study: Study, condition: Condition, budget: Budget, costs: Mapping[str, Any]
) -> dict[str, Any]:
    """What a condition cost: training as far as its checkpoint, mean over seeds; and a chunk.

    Seconds are those of steps that were measured side by side where there are such, otherwise wall
    time of the trainings. RL adds to the training that it goes on from; of its FLOPs the updates
    are counted alone.
    """
    arm, data, share = condition.arm, condition.data.name, condition.fraction

    def mean(name: str, what: str) -> float:
        runs = [costs["runs"][f"{name}/{data}/seed{seed}"] for seed in study.seeds]
        return float(np.mean([run[what] for run in runs]))

    times = costs["times"]
    steps = budget.steps if arm.after else round(share * budget.steps)
    flops, trained = budget.until(steps), arm.after or arm.name
    if times is None:
        seconds = mean(trained, "seconds") * flops / budget.flops
    else:
        seconds = seconds_until(times, trained, steps)
    if arm.after:
        flops += share * mean(arm.name, "flops")
        seconds += share * mean(arm.name, "seconds")
    return {
        "train_flops": flops,
        "train_seconds": seconds,
        "memory": budget.memory,
        **costs["conditions"][condition.key],
    }


def per_point(cost: Mapping[str, Any], success: float) -> dict[str, float] | None:
    """What a per cent of success (clean and axes together) cost; None where there is none."""
    if success == 0:
        return None
    return {name: cost[name] / (100 * success) for name in COSTS}
