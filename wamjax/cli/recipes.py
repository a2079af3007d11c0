"""`wamjax recipes`: the published systems, their sizes, and how they are sampled."""

import argparse
import dataclasses
import json
import shutil
import textwrap
from typing import Any, assert_never

from wamjax.core.errors import UserError
from wamjax.flow.grid import edm_grid
from wamjax.flow.variance_preserving import cosine_grid
from wamjax.pretrained.families import FAMILIES
from wamjax.recipes.blueprint import Blueprint, Phase, Recipe
from wamjax.recipes.learner import Learner
from wamjax.recipes.network import compared, parameters
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.registry import RECIPES, find_recipe
from wamjax.recipes.sight import sight

NO_WEIGHTS = "no published weights"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = "Examples:\n  wamjax recipes\n  wamjax recipes fast_wam --form idm"
    parser.add_argument("name", nargs="?", help="one of them, in full")
    parser.add_argument("--form", help="which form of it (default: the usual one)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def built(recipe: Recipe, size: str, form: str | None) -> Blueprint:
    """The blueprint of a size and form.

    Raises:
        UserError: there is no such form.
    """
    if form is None:
        return recipe.build(size)
    if form not in recipe.forms:
        known = ", ".join(recipe.forms) or "none"
        raise UserError(f"--form {form!r} does not exist; forms of {recipe.name}: {known}.")
    return recipe.build(size, form)


def described(recipe: Recipe, form: str | None = None) -> dict[str, Any]:
    """A row of the list."""
    full, tiny = built(recipe, "full", form), built(recipe, "tiny", form)
    return {
        "name": recipe.name,
        "kind": recipe.kind,
        "coupling": recipe.coupling,
        "objective": recipe.objective,
        "state": state(recipe, form),
        "parameters": parameters(full),
        "published": recipe.published,
        "published_in": recipe.counted or recipe.source if recipe.published else None,
        "compared": compared(recipe, full) if held(recipe, form) else None,
        "outside": [dataclasses.asdict(part) for part in recipe.outside],
        "parts": recipe.parts,
        "tiny_parameters": parameters(tiny),
        "passes": full.passes,
        "planning": planned(recipe, "full"),
        "actions": sum(s.count for s in full.program[-1].segments if s.stream == "action") or None,
        "executed": recipe.executed,
        "source": recipe.source,
        "forms": list(recipe.forms),
        "deviations": list(recipe.deviations),
    }


def planned(recipe: Recipe, size: str) -> dict[str, int] | None:
    """What the published plan of a recipe takes: passes one after the other, and of how many
    sequences the widest is; None where it does not plan."""
    planning = recipe.build(size).learning.planning
    if planning is None:
        return None
    walks = planning.walks(planning.candidates, None)
    return {
        "candidates": planning.candidates,
        "futures": planning.futures,
        "values": len(planning.values),
        "passes": sum(recipe.build(size, form).passes_in(steps) for form, steps, _ in walks),
        "sequences": max(sequences for _, _, sequences in walks),
    }


def plan_line(plan: dict[str, int]) -> str:
    """A plan as a line."""
    return (
        f"the best of {plan['candidates']} chunks by value, {plan['futures']} futures of each, "
        f"{plan['values']} values of each future: {plan['passes']} passes, of up to "
        f"{plan['sequences']} sequences each"
    )


def held(recipe: Recipe, form: str | None) -> bool:
    """Whether the size of a form is held against the published count: that of the usual form."""
    usual = form is None or form == recipe.forms[0]
    return recipe.published is not None and recipe.explained and usual


def state(recipe: Recipe, form: str | None = None) -> list[str]:
    """What works, read off what the recipe is made of."""
    usual = form in (None, "", *recipe.forms[:1])
    whole = [family for family in FAMILIES.values() if family.recipe == recipe.name]
    read = [family.name for family in whole if family.form == ("" if usual else form)]
    weights = [f"reads weights of {name}" for name in read]
    if usual:
        others = [family for family in whole if family.form]
        weights += [f"reads weights of {x.name} in form {x.form}" for x in others]
    weights = weights or [NO_WEIGHTS]
    if built(recipe, "tiny", form).foreseen:
        return ["samples while a chunk is executed", "full size counted", *weights]
    config = RecipeConfig(recipe=recipe.name, form=form or "")
    works = {
        "trains tiny": bool(config.learning.lessons),
        "shows video": Learner(config).predicts_video,
        "goes on from actions under way": bool(config.continued),
        "plans": config.learning.planning is not None,
        "is rewarded in rollouts": config.learning.read == "laplace",
        "full size counted": True,
        **dict.fromkeys(weights, True),
    }
    return [what for what, does in works.items() if does]


def ends(blueprint: Blueprint, phase: Phase, start: float, end: float) -> str:
    """From where to where a stream walks, on the grid that is walked."""
    match blueprint.walk.grid:
        case "shifted":
            return f"{start:g} -> {end:g}"
        case "cosine":
            grid = cosine_grid(phase.steps)
        case "edm":
            grid = edm_grid(phase.steps)
        case _:
            assert_never(blueprint.walk.grid)
    return f"{grid[0]:.3g} -> {grid[-2]:.3g}, then {grid[-1]:g}"


def line(blueprint: Blueprint, phase: Phase) -> str:
    """A phase as a line: what it is told, who walks from where to where, and what is written."""
    told = ", ".join(dict.fromkeys(s.kind for s in phase.segments if s.copy == "cond"))
    told = f"given {told}, " if told else ""
    walks = ", ".join(
        f"{stream} held at {start:g}"
        if start == end
        else f"{stream} {ends(blueprint, phase, start, end)}"
        for stream, start, end in phase.levels
    )
    unit = "steps" if phase.levels else "passes"
    steps = f"{phase.steps} {unit}" if phase.levels or phase.steps > 1 else "one pass"
    if phase.evaluated:
        steps += f", {len(phase.evaluated)} of them evaluated"
    guided = f" x {phase.guidance} (guidance)" if phase.guidance > 1 else ""
    writes = ", ".join(dict.fromkeys(segment.kind for segment in phase.writes))
    return f"{told}{walks or 'read out'}: {steps}{guided}" + (
        f", then write {writes}" if writes else ""
    )


def short(count: int) -> str:
    """A number of parameters with three digits, such as 6.80 B."""
    for size, unit in ((1e9, "B"), (1e6, "M")):
        if count >= size:
            return f"{count / size:#.3g} {unit}".replace(". ", " ")
    return f"{count / 1e3:.0f} k"


def published(recipe: Recipe, row: dict[str, Any]) -> str:
    """What is published of a recipe's size, and what is held against it."""
    said = f"{recipe.published} ({recipe.counted})" if recipe.counted else recipe.published
    if row["compared"] is None:
        why = "of the usual form" if recipe.explained else "what it counts is not known"
        return f"{said}; {why}"
    beyond = f", without {', '.join(recipe.beyond)}" if recipe.beyond else ""
    outside = " with what is outside" if recipe.outside else ""
    against = f"{short(row['compared'])}{outside}{beyond}"
    return f"{said}; here {against}"


def listed(rows: list[dict[str, Any]], columns: int) -> list[str]:
    """The list: a line of numbers for each recipe, then what it learns, its source, its state."""
    heads = f"{'full':>7}{'as published':>13}{'published':>10}{'tiny':>7}{'passes':>7}"
    lines = [f"{'recipe':<14}{'kind':<9}{'coupling':<13}{heads}"]
    for row in rows:
        against = short(row["compared"]) if row["compared"] else ""
        lines.append(
            f"{row['name']:<14}{row['kind']:<9}{row['coupling']:<13}{short(row['parameters']):>7}"
            f"{against:>13}{row['published'] or '-':>10}{short(row['tiny_parameters']):>7}"
            f"{row['passes']:>7}"
        )
        told = f"{row['objective']}; {row['source']}; state: {', '.join(row['state'])}"
        lines += textwrap.wrap(
            told, columns, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
        )
    note = (
        "full: what is built, without encoders that stand outside; as published: with them, "
        "held to 2 % of the published count."
    )
    return lines + textwrap.wrap(note, columns)


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    if args.name is None:
        if args.form is not None:
            raise UserError("--form needs the name of a recipe.")
        rows = [described(recipe) for recipe in RECIPES.values()]
        if args.json:
            print(json.dumps(rows, indent=2))
            return
        print("\n".join(listed(rows, shutil.get_terminal_size().columns)))
        return
    recipe = find_recipe(args.name)
    row = described(recipe, args.form)
    if args.json:
        print(json.dumps(row, indent=2))
        return
    blueprint = built(recipe, "tiny", args.form)
    full = built(recipe, "full", args.form)
    print(f"{recipe.name} ({recipe.kind}), {recipe.source}")
    print(f"learns     {recipe.objective}")
    usual = args.form in (None, *recipe.forms[:1])
    print(f"coupling   {recipe.coupling}{'' if usual else '; of the usual form'}")
    print(f"state      {', '.join(row['state'])}")
    parts = f": {recipe.parts}" if usual else ""
    print(f"full       {row['parameters']:,} parameters{parts}")
    for part in recipe.outside:
        print(f"outside    {part.parameters:,}: {part.name} ({part.source})")
    if recipe.published:
        print(f"published  {published(recipe, row)}")
    print(f"tiny       {row['tiny_parameters']:,} parameters")
    if recipe.forms:
        print(f"forms      {', '.join(recipe.forms)}")
    given = ", ".join(dict.fromkeys(segment.kind for segment in full.given))
    print(f"samples    prefill {given}" if given else "samples")
    for phase in full.program:
        print(f"           {line(full, phase)}")
    print(f"           {full.passes} passes a chunk")
    if row["planning"] is not None:
        print(f"plans      {plan_line(row['planning'])}")
    print("sees       rows look at columns, in the same order (# all, + some, . none)")
    print("\n".join(sight(blueprint.model, blueprint.training)))
    for text in recipe.deviations:
        print(f"differs    {text}")
