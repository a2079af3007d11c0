"""`wamjax bench sample`: milliseconds a chunk by recipe, with FLOPs, bytes and the least time."""

import argparse
import dataclasses
import os
from typing import Any

import jax

from wamjax.cli import output
from wamjax.cli.bench_sample_page import as_page, as_text
from wamjax.cli.recipes import built
from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.core.runtime import device_name, versions, without_compile_cache
from wamjax.eval.ceilings import DEVICES, Device, own_device
from wamjax.eval.chunk_cost import Pass, in_type, least_seconds, passes
from wamjax.eval.chunk_plan import plan_of, plan_passes, plan_time
from wamjax.eval.chunk_time import chunk_time
from wamjax.eval.latency import Latency
from wamjax.recipes.forms import predicted
from wamjax.recipes.network import parameters
from wamjax.recipes.registry import RECIPES, find_recipe

DTYPES = {"tiny": "float32", "full": "bfloat16"}
BYTES = {"float32": 4, "bfloat16": 2}
MOST_MEMORY = 0.6
"""The share of a device's memory that weights may take; the rest is for activations."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the bench."""
    parser.epilog = (
        "From the values of a recipe's inputs to its actions, with random weights; encoders\n"
        "outside a recipe are not part of it. A full size is timed on an accelerator that can\n"
        "hold it, and only counted elsewhere.\n\nExamples:\n"
        "  wamjax bench sample --recipe fast_wam\n"
        "  wamjax bench sample --recipe lingbot_va --size full --steps 4 --json lingbot_va.json\n"
        "  wamjax bench sample --recipe cosmos_policy --candidates 8\n"
        "  wamjax bench sample --recipe all --page docs/results/sample.md"
    )
    parser.add_argument(
        "--recipe", required=True, help="a name of `wamjax recipes`, or all (forms, too)"
    )
    parser.add_argument("--form", help="which form of it (default: the usual one)")
    parser.add_argument("--size", choices=["tiny", "full"], default="tiny", help="default tiny")
    parser.add_argument("--batch", type=int, default=1, help="chunks at once (default 1)")
    parser.add_argument(
        "--steps",
        type=int,
        help="solver steps, each with an evaluation (default: the recipe's own steps and reuse)",
    )
    parser.add_argument(
        "--candidates",
        type=int,
        default=1,
        help="plan: draw so many chunks and keep the one with the highest value, where a recipe "
        "has values (default 1: no planning)",
    )
    parser.add_argument("--repeats", type=int, default=50, help="timed calls (default 50)")
    parser.add_argument(
        "--dtype",
        choices=list(BYTES),
        help="of weights and products (default float32 for tiny, bfloat16 for full)",
    )
    output.arguments(parser, page="write a page of both sizes there")


def counted(found: list[Pass]) -> dict[str, Any]:
    """Passes, FLOPs, bytes and bounds; nothing is allocated."""
    return {
        "passes": [dataclasses.asdict(one) for one in found],
        "forward_passes": sum(one.count for one in found),
        "flops": sum(one.count * one.flops for one in found),
        "weight_bytes": sum(one.count * one.weights for one in found),
        "cache_bytes": sum(one.count * one.cache for one in found),
        "bounds_ms": {device.name: 1e3 * least_seconds(found, device) for device in DEVICES},
    }


def timed(
    taken: Latency, compiling: float, found: list[Pass], executed: int, own: Device
) -> dict[str, Any]:
    """What this device took for a chunk and for each of `executed` actions, and its bound."""
    return {
        "p50_ms": taken.p50_ms,
        "p95_ms": taken.p95_ms,
        "per_action_ms": taken.p50_ms / executed,
        "repeats": taken.repeats,
        "compile_seconds": compiling,
        "own_bound_ms": 1e3 * least_seconds(found, own),
    }


def why_not_timed(size: str, needed: int) -> str | None:
    """Why weights of so many bytes are not made here; None if they are."""
    device = jax.devices()[0]
    if size == "tiny":
        return None
    if device.platform == "cpu":
        return "full sizes are only counted on a CPU"
    limit = (device.memory_stats() or {}).get("bytes_limit")
    if limit is None or needed > MOST_MEMORY * limit:
        return f"weights of {needed / 1e9:.1f} GB do not fit"
    return None


def forms_of(name: str) -> list[str | None]:
    """The usual form of a recipe (None), and those that sample actions at another cost."""
    known: list[tuple[Any, ...]] = []
    forms: list[str | None] = []
    for form in RECIPES[name].forms or (None,):
        blueprint = built(RECIPES[name], "full", form)
        costs = (blueprint.model, blueprint.given, blueprint.program, blueprint.walk)
        if costs not in known and "action" in predicted(blueprint):
            known.append(costs)
            forms.append(form if forms else None)
    return forms


def chosen(args: argparse.Namespace) -> list[tuple[str, str | None, str]]:
    """(recipe, form, size) of every row; all recipes come in all forms that cost something else.

    Raises:
        UserError: an unknown name, or a number out of range.
    """
    for name in ("batch", "repeats", "steps", "candidates"):
        value = getattr(args, name)
        if value is not None and not 1 <= value <= 100_000:
            raise UserError(f"--{name} must be from 1 to 100000, got {value}.")
    if args.recipe == "all" and args.form is not None:
        raise UserError("--form needs the name of one recipe.")
    if args.candidates > 1:
        planning = None if args.recipe == "all" else find_recipe(args.recipe).build("tiny").learning
        if planning is None or planning.planning is None:
            raise UserError(
                f"--candidates {args.candidates} needs one recipe that values its futures, such as "
                "cosmos_policy."
            )
        if args.form not in (None, planning.planning.policy):
            raise UserError(
                f"--candidates {args.candidates} plans in form {planning.planning.policy}: leave "
                "--form out."
            )
    if args.recipe == "all":
        names = [(name, form) for name in RECIPES for form in forms_of(name)]
    else:
        names = [(find_recipe(args.recipe).name, args.form)]
    sizes = ["tiny", "full"] if args.page else [args.size]
    for name, form in names:
        built(RECIPES[name], "tiny", form)
    output.refuse_no_folder(args)
    return [(name, form, size) for size in sizes for name, form in names]


def measured(args: argparse.Namespace) -> dict[str, Any]:
    """Everything that is printed."""
    cases, load = chosen(args), os.getloadavg()
    owns = {
        dtype: own_device(dtype)
        for dtype in dict.fromkeys(args.dtype or DTYPES[size] for _, _, size in cases)
        if jax.default_backend() != "cpu" or dtype == (args.dtype or DTYPES["tiny"])
    }
    rows = []
    with (
        without_compile_cache(),
        Progress("bench sample", len(cases), "recipes") as progress,
    ):
        for name, form, size in cases:
            dtype = args.dtype or DTYPES[size]
            recipe = RECIPES[name]
            blueprint = in_type(built(recipe, size, form), dtype)
            plan = None
            found = passes(blueprint, args.batch, steps=args.steps)
            if args.candidates > 1:
                plan = plan_of(recipe, size, dtype, args.candidates)
                found = plan_passes(plan, args.batch, steps=args.steps)
            row = {
                "recipe": name,
                "form": form,
                "size": size,
                "batch": args.batch,
                "steps": args.steps,
                "candidates": args.candidates,
                "dtype": dtype,
                "parameters": parameters(blueprint),
                "actions": blueprint.shape.chunk,
                "executed": recipe.executes(blueprint.shape.chunk),
                **counted(found),
            }
            reason = why_not_timed(size, BYTES[dtype] * row["parameters"])
            if reason is None:
                given = {"rows": args.batch, "steps": args.steps, "repeats": args.repeats}
                taken, compiling = (
                    chunk_time(blueprint, **given) if plan is None else plan_time(plan, **given)
                )
                executed = args.batch * row["executed"]
                row |= timed(taken, compiling, found, executed, owns[dtype])
            rows.append({**row, "not_timed": reason})
            progress.advance(note=" ".join(filter(None, (name, form, size))))
    return {
        "device": device_name(),
        "versions": versions(),
        "load_before": load,
        "load_after": os.getloadavg(),
        "own": {dtype: dataclasses.asdict(own) for dtype, own in owns.items()},
        "rows": rows,
    }


def run(args: argparse.Namespace) -> None:
    """Run the bench."""
    output.tell(args, measured(args), as_text, as_page)
