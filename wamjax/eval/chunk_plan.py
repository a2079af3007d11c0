"""What a plan costs: the best of several chunks, see recipes.planning.

Every candidate (and every future, every value) passes at once: a pass of a plan is one of the form
that is walked, over so many sequences. What is prefilled is the same for all of them, and passes
once a walk.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key, Params
from wamjax.eval.chunk_cost import Pass, in_type, passes
from wamjax.eval.chunk_time import compiled_time, inputs, padded, random_weights
from wamjax.eval.latency import Latency
from wamjax.model.segments import Segment
from wamjax.recipes.blueprint import Blueprint, Recipe
from wamjax.recipes.planning import Frames, Planning, apart, best_of
from wamjax.recipes.program import noise_for, walk


@dataclasses.dataclass(frozen=True)
class Plan:
    """A recipe that plans.

    Attributes:
        forms: name -> blueprint.
        planning: how.
        candidates: chunks.
    """

    forms: Mapping[str, Blueprint]
    planning: Planning
    candidates: int

    @property
    def usual(self) -> Blueprint:
        """The form that acts."""
        return self.forms[self.planning.policy]


def plan_of(recipe: Recipe, size: str, dtype: str, candidates: int) -> Plan:
    """A plan of a recipe at a size, in a type.

    Raises:
        ValueError: the recipe does not plan.
    """
    planning = recipe.build(size).learning.planning
    if planning is None:
        raise ValueError(f"{recipe.name} has no values to choose among candidates by")
    forms = {form: in_type(recipe.build(size, form), dtype) for form in recipe.forms}
    return Plan(forms, planning, candidates)


def plan_passes(plan: Plan, rows: int = 1, *, steps: int | None = None) -> list[Pass]:
    """The passes of a plan, in the order of the walks.

    Args:
        plan: of any size; nothing is allocated.
        rows: plans made at once.
        steps: of every walk, instead of the phase's own (for values: at most).
    """
    found = []
    once = functools.cache(lambda form, copies: passes(plan.forms[form], rows, copies=copies))
    for form, own, sequences in plan.planning.walks(plan.candidates, steps):
        usual = plan.forms[form].program[0].steps
        for one in once(form, sequences):
            count = one.count if own is None or one.name == "prefill" else one.count // usual * own
            found.append(dataclasses.replace(one, name=f"{form}: {one.name}", count=count))
    return found


def plan_chunk(
    plan: Plan,
    params: Params,
    values: list[Array],
    key: Key,
    *,
    standing: tuple[Segment, ...],
    steps: int | None = None,
) -> tuple[dict[int, Array], Array]:
    """The plan as a function of arrays alone: the best chunk's latent frames and its value.

    Args:
        values: of the `standing` segments, in their order.
        key: of all draws.
    """
    told = dict(zip(standing, values, strict=True))
    rows = values[0].shape[0]

    def draw(form: str, frames: Frames, key: Key, steps: int | None) -> dict[int, Array]:
        blueprint = plan.forms[form]
        keys = named_keys(key, "noise", "solver")
        wide = functools.partial(padded, blueprint)
        widths = {s: blueprint.model.port(s).out or width for s, width in blueprint.features}

        def supply(segment: Segment) -> tuple[Array, Array]:
            known = segment.copy == "cond"
            value = wide(segment, frames[round(segment.start)]) if known else told[segment]
            return value, jnp.ones(value.shape[:2], bool)

        noise = noise_for(blueprint, widths, rows, keys["noise"])
        out = walk(blueprint, params, supply, noise, steps=steps, key=keys["solver"], wide=wide)
        return apart(blueprint.program[0].segments, out["video"])

    place = plan.usual.learning.painted.index("value")
    return best_of(draw, plan.planning, place, key, candidates=plan.candidates, steps=steps)


def plan_time(
    plan: Plan, *, rows: int = 1, steps: int | None = None, repeats: int = 50
) -> tuple[Latency, float]:
    """(latency of a plan, seconds to compile); see `chunk_time`."""
    params = random_weights(plan.usual)
    standing, (values, _, _) = inputs(plan.usual, rows)

    def run(params: Params, *given: Any) -> tuple[dict[int, Array], Array]:
        return plan_chunk(plan, params, *given, standing=standing, steps=steps)

    return compiled_time(run, params, (values, jax.random.key(2)), repeats)
