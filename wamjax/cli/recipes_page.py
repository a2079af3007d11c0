"""docs/recipes.md and a page for each family: `python -m wamjax.cli.recipes_page docs`."""

import argparse
import pathlib

from wamjax.cli.recipes import described, line, plan_line, planned, published, short
from wamjax.recipes.blueprint import Blueprint, Coupling, Recipe
from wamjax.recipes.registry import RECIPES
from wamjax.recipes.sight import sight

INTRODUCTION = """# Recipes

<!-- Made by `python -m wamjax.cli.recipes_page docs`; edit wamjax/recipes/. -->

A recipe is a published system as values: stacks of layers with experts inside, ports through which
streams enter and leave, the training sequence with its visibility, and the sampler program. One
function builds the published size and a `tiny` one of the same structure. `wamjax recipes` lists
them; `wamjax recipes NAME` draws one.

What works for each: the network at both sizes, its visibility held to the published rule token by
token, hidden tokens that leave outputs bit-equal, caches that change nothing (prefill, write,
denoise), a sampler program that equals a plain loop without a cache, and a gradient for
every input and every weight (`python -m pytest tests/model tests/flow tests/recipes`, which ends
with a table of them, recipe by recipe). All can be trained at their tiny size by
`wamjax train --config configs/recipe.py:NAME`. `tests/recipes/test_training.py` (slow)
holds every one of them to beating the mean action on held-out demonstrations after 600 steps, and
those that predict video to beating a still one ([results/training.md](results/training.md) has
the figures). Laplace heads (`ript_vla`) and the quick start's
flow can be rewarded in rollouts afterwards ([ript.md](ript.md)). What does not work yet: published
weights of whole policies but for those in [weights.md](weights.md), the pretrained encoders, and
training at full size.

In the tiny forms small networks stand in for the pretrained encoders and are trained with the rest
(text: a byte-level encoder; image features: keypoints steered by the instruction); video tokens are
patches of pixels instead of an autoencoder's latents, their change since the newest frame is
denoised, the network predicts it clean, and their levels are drawn nearer to noise (shift times 5;
DreamZero's published laws lie there already); a first block that no frame precedes is not scored;
actions before now are padding, unless `--config.system.past_actions` and
`--config.data.past_actions` ask for that many of them (rollouts then show them, too).

Where each action is denoised as a token of its own, training simulates that up to three actions are
already under way (arXiv 2512.05964): they are seen clean, at level 0, and not scored. A chunk then
goes on from them: `Learner.sample_actions(..., under_way=(actions, delay))`.
`--config.system.delay=0` trains without."""
COUNTED = """Parameters are counted through `eval_shape`, of what the recipe builds; encoders that
are networks of their own stand outside. As published: with those, and held to 2 % of the published
count where one is known (`python -m pytest tests/recipes/test_sizes.py`). Passes are forward passes
for one chunk, prefill and guidance included. How long a chunk takes, and what it takes at least:
[results/sample.md](results/sample.md)."""
READING = """How to read the drawings: rows look at columns, in the same order (`#` all, `+` some,
`.` none); the number is the time block. They show the training sequence of the tiny form; stacks
with a table of their own follow it. All recipes: [recipes.md](../recipes.md)."""
# coupling -> (name of the page, title)
FAMILIES: dict[Coupling, tuple[str, str]] = {
    "mot": ("mot", "One attention, an expert per stream (`mot`)"),
    "trunk": ("trunk", "One trunk (`trunk`)"),
    "latent_frame": ("latent_frame", "Actions painted into latent frames (`latent_frame`)"),
    "layer_cross": ("layer_cross", "An expert that reads every layer (`layer_cross`)"),
    "tap_cross": ("tap_cross", "An expert that reads one layer (`tap_cross`)"),
    "none": ("policies", "Policies without video"),
}


def pages() -> dict[str, str]:
    """Path below docs/ -> the page there, as Markdown."""
    made = {}
    links = []
    for coupling, (name, title) in FAMILIES.items():
        family = [recipe for recipe in RECIPES.values() if recipe.coupling == coupling]
        parts = [f"# {title}", READING, *map(_section, family)]
        made[f"recipes/{name}.md"] = "\n\n".join(parts) + "\n"
        own = ", ".join(f"[{r.name}](recipes/{name}.md#{r.name})" for r in family)
        links.append(f"- [{title}](recipes/{name}.md): {own}")
    families = "Their visibility, their sampler programs and what differs from the publications:"
    parts = [INTRODUCTION, families, "\n".join(links), _table(), COUNTED]
    return {"recipes.md": "\n\n".join(parts) + "\n", **made}


def _table() -> str:
    rows = [
        "| recipe | kind | coupling | learns | parameters | as published | published | passes "
        "| source | state |",
        "|---" * 10 + "|",
    ]
    for recipe in RECIPES.values():
        row = described(recipe)
        against = short(row["compared"]) if row["compared"] else ""
        rows.append(
            f"| `{recipe.name}` | {recipe.kind} | {recipe.coupling} | {recipe.objective} "
            f"| {short(row['parameters'])} | {against} | {recipe.published or ''} "
            f"| {row['passes']} | {recipe.source} | {', '.join(row['state'])} |"
        )
    return "\n".join(rows)


def _program(blueprint: Blueprint) -> str:
    given = ", ".join(dict.fromkeys(segment.kind for segment in blueprint.given))
    phases = "; ".join(line(blueprint, phase) for phase in blueprint.program)
    return f"{f'prefill {given}; ' if given else ''}{phases}; {blueprint.passes} passes."


def _size(recipe: Recipe) -> list[str]:
    """What is published of its size, and what stands outside."""
    if recipe.published is None:
        return []
    lines = [f"Published size: {published(recipe, described(recipe))}."]
    parts = [f"{part.name} {short(part.parameters)} ({part.source})" for part in recipe.outside]
    return [" ".join([*lines, f"Outside: {'; '.join(parts)}."] if parts else lines)]


def _drawings(recipe: Recipe) -> list[str]:
    """The tables of all forms; those with the same one share it."""
    groups: dict[str, list[str]] = {}
    for form in recipe.forms or (None,):
        tiny = recipe.build("tiny") if form is None else recipe.build("tiny", form)
        groups.setdefault("\n".join(sight(tiny.model, tiny.training)), []).append(f"`{form}`")
    blocks = [f"```\n{drawn}\n```" for drawn in groups]
    if not recipe.forms:
        return blocks
    return [
        part
        for names, block in zip(groups.values(), blocks, strict=True)
        for part in (f"{', '.join(names)}:", block)
    ]


def _plan(recipe: Recipe) -> list[str]:
    """How it plans, if it does."""
    plan = planned(recipe, "full")
    if plan is None:
        return []
    return [
        f"Planned (`--config.system.candidates=N`, `--candidates N`; as published): "
        f"{plan_line(plan)}."
    ]


def _section(recipe: Recipe) -> str:
    forms = recipe.forms or (None,)
    programs = [
        (form, _program(recipe.build("full") if form is None else recipe.build("full", form)))
        for form in forms
    ]
    told = [f"- {f'`{form}`: ' if form else ''}{text}" for form, text in programs]
    return "\n\n".join(
        [
            f"## {recipe.name}",
            f"{recipe.parts}; {recipe.source}. How a chunk is sampled:",
            "\n".join(told),
            *_plan(recipe),
            *_size(recipe),
            "Who sees whom:",
            *_drawings(recipe),
            "What differs from the publication:",
            "\n".join(f"- {text}" for text in recipe.deviations),
        ]
    )


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("docs", type=pathlib.Path, help="the folder docs/")
    root = parser.parse_args().docs
    for path, text in pages().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
