"""Source against target domain: what each condition loses, and whether the order of policies holds.

    gap            target minus source, in the same worlds at the same seed, paired
    agreement      over policies (a condition at a seed): Pearson, Spearman, MMRV (arXiv 2405.05941)

Intervals of the agreement draw the worlds anew, policies stay: it is about these policies.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from wamjax.eval.statistics import Estimate, agreement, mcnemar, paired_difference
from wamjax.eval.study.study import Study
from wamjax.eval.study.tried import Tried, axes_in, counted, estimate, same_worlds

WHOLE = "all"
"""Clean and perturbed worlds together."""


def transfer(study: Study, tried: Mapping[str, Tried]) -> dict[str, Any]:
    """The gap of every condition, and the agreement over all of them.

    Args:
        study: with both domains.
        tried: condition -> its episodes.

    Raises:
        ValueError: the domains were not tried in the same worlds.
    """
    pairs = []
    for condition in study.conditions:
        if condition.domain == "source":
            other = dataclasses.replace(condition, domain="target")
            pairs.append((condition, tried[condition.key], tried[other.key]))
    gaps = {}
    for condition, source, target in pairs:
        same_worlds(source, target)
        gaps[condition.key] = {
            "label": condition.labelled(dataclasses.replace(study, domains=("source",))),
            "cells": {name: _gap(source, target, mask) for name, mask in _masks(source).items()},
        }
    rows = {}
    for name, mask in _masks(pairs[0][1]).items():
        sides = [
            np.stack(
                [side.success[mask & (side.seed == n)] for side in domain for n in study.seeds]
            )
            for domain in zip(*((source, target) for _, source, target in pairs), strict=True)
        ]
        if len(sides[0]) < 2:
            continue
        found = agreement(
            simulated=sides[0], real=sides[1], shared_worlds=True, resample_policies=False
        )
        rows[name] = {"policies": len(sides[0]), "worlds": sides[0].shape[1]} | {
            field.name: told(getattr(found, field.name)) for field in dataclasses.fields(found)
        }
    points = [
        {
            "key": condition.key,
            "seed": seed,
            "source": float(source.success[source.seed == seed].mean()),
            "target": float(target.success[target.seed == seed].mean()),
        }
        for condition, source, target in pairs
        for seed in study.seeds
    ]
    return {"gaps": gaps, "agreement": rows, "points": points}


def _masks(tried: Tried) -> dict[str, np.ndarray]:
    masks = {WHOLE: np.ones(len(tried.success), bool)}
    return masks | {axis: tried.axis == axis for axis in axes_in(tried)}


def _gap(source: Tried, target: Tried, mask: np.ndarray) -> dict[str, Any]:
    there, here = target.success[mask], source.success[mask]
    return {
        **estimate(paired_difference(there, here)),
        "p_mcnemar": mcnemar(there, here),
        "source": counted(here),
        "target": counted(there),
    }


def told(found: Estimate) -> dict[str, Any] | None:
    """As plain values; None where it is not defined, as where all policies are equally good."""
    plain = estimate(found)
    return plain if all(np.isfinite(value) for value in plain.values()) else None
