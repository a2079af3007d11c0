"""`wamjax recipes`: the published systems, their sizes, and how they are sampled."""

import argparse
import itertools
import json
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.model.layout import Layout, mask_of
from wamjax.recipes.blueprint import Blueprint, Phase, Recipe
from wamjax.recipes.network import parameters
from wamjax.recipes.registry import RECIPES, find_recipe


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
        "parameters": parameters(full),
        "published": recipe.published,
        "parts": recipe.parts,
        "tiny_parameters": parameters(tiny),
        "passes": full.passes,
        "actions": sum(s.count for s in full.program[-1].segments if s.stream == "action") or None,
        "source": recipe.source,
        "forms": list(recipe.forms),
        "deviations": list(recipe.deviations),
    }


def line(phase: Phase) -> str:
    """A phase as a line: who walks from where to where, and what is written."""
    walks = ", ".join(
        f"{stream} held at {start:g}" if start == end else f"{stream} {start:g} -> {end:g}"
        for stream, start, end in phase.levels
    )
    unit = "steps" if phase.levels else "passes"
    steps = f"{phase.steps} {unit}" if phase.levels or phase.steps > 1 else "one pass"
    if phase.evaluated:
        steps += f", {len(phase.evaluated)} of them evaluated"
    guided = f" x {phase.guidance} (guidance)" if phase.guidance > 1 else ""
    writes = ", ".join(dict.fromkeys(segment.kind for segment in phase.writes))
    return f"{walks or 'read out'}: {steps}{guided}" + (f", then write {writes}" if writes else "")


def sight(blueprint: Blueprint) -> list[str]:
    """The training sequence's visibility, a line for each run of tokens: # all, + some, . none.

    Stacks with a table of their own follow, with the runs that have keys or queries there.
    """
    config, layout = blueprint.model, blueprint.training
    rows = _drawn(layout, mask_of(config, layout))
    for name, _ in layout.own:
        rows += [f"in {name}:", *_drawn(layout, mask_of(config, layout, config.stack(name)))]
    return rows


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


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    if args.name is None:
        if args.form is not None:
            raise UserError("--form needs the name of a recipe.")
        rows = [described(recipe) for recipe in RECIPES.values()]
        if args.json:
            print(json.dumps(rows, indent=2))
            return
        print(
            f"{'recipe':<15}{'kind':<10}{'coupling':<13}{'full':>9}{'tiny':>9}{'passes':>8}  source"
        )
        for row in rows:
            full, tiny = f"{row['parameters'] / 1e9:.2f} B", f"{row['tiny_parameters'] / 1e3:.0f} k"
            print(
                f"{row['name']:<15}{row['kind']:<10}{row['coupling']:<13}{full:>9}{tiny:>9}"
                f"{row['passes']:>8}  {row['source']}"
            )
        return
    recipe = find_recipe(args.name)
    row = described(recipe, args.form)
    if args.json:
        print(json.dumps(row, indent=2))
        return
    blueprint = built(recipe, "tiny", args.form)
    full = built(recipe, "full", args.form)
    published = f", published {row['published']}" if row["published"] else ""
    print(f"{recipe.name} ({recipe.kind}), {recipe.source}")
    print(f"learns     {recipe.objective}")
    print(f"coupling   {recipe.coupling}")
    print(f"full       {row['parameters']:,} parameters: {recipe.parts}{published}")
    print(f"tiny       {row['tiny_parameters']:,} parameters")
    if recipe.forms:
        print(f"forms      {', '.join(recipe.forms)}")
    given = ", ".join(dict.fromkeys(segment.kind for segment in full.given))
    print(f"samples    prefill {given}" if given else "samples")
    for phase in full.program:
        print(f"           {line(phase)}")
    print(f"           {full.passes} passes a chunk")
    print("sees       rows look at columns, in the same order (# all, + some, . none)")
    print("\n".join(sight(blueprint)))
    for text in recipe.deviations:
        print(f"differs    {text}")
