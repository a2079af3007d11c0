"""`wamjax bench sample`: milliseconds a chunk by recipe, with FLOPs, bytes and the least time."""

import argparse
import json
import pathlib
from typing import Any

import jax

from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.core.runtime import device_name, versions, without_compile_cache
from wamjax.eval.latency import (
    DEVICES,
    Device,
    in_type,
    least_seconds,
    measure,
    own_device,
    passes,
)
from wamjax.recipes.network import parameters
from wamjax.recipes.registry import RECIPES, find_recipe

BYTES = {"float32": 4, "bfloat16": 2}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the bench."""
    parser.epilog = (
        "Random weights; the encoders outside a recipe are not part of it. A full size is timed on "
        "an\naccelerator and only counted elsewhere.\n\nExamples:\n"
        "  wamjax bench sample --recipe fast_wam\n"
        "  wamjax bench sample --recipe all --size full\n"
        "  wamjax bench sample --recipe all --page docs/results/sample.md"
    )
    parser.add_argument("--recipe", required=True, help="a name of `wamjax recipes`, or all")
    parser.add_argument("--form", help="which form of it (default: the usual one)")
    parser.add_argument("--size", choices=["tiny", "full"], default="tiny", help="default tiny")
    parser.add_argument("--batch", type=int, default=1, help="chunks at once (default 1)")
    parser.add_argument("--steps", type=int, help="solver steps (default: the recipe's own)")
    parser.add_argument("--repeats", type=int, default=50, help="timed calls (default 50)")
    parser.add_argument(
        "--page", type=pathlib.Path, help="write a page of both sizes of the recipes there"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def costs(name: str, form: str | None, size: str, batch: int) -> dict[str, Any]:
    """Passes, FLOPs, bytes and bounds of one recipe."""
    recipe = find_recipe(name)
    if form is not None and form not in recipe.forms:
        known = ", ".join(recipe.forms) or "none"
        raise UserError(f"--form {form!r} does not exist; forms of {name}: {known}.")
    blueprint = recipe.build(size, form) if form else recipe.build(size)
    dtype = "bfloat16" if size == "full" else "float32"
    counted = passes(blueprint, batch, BYTES[dtype])
    return {
        "recipe": name,
        "form": form,
        "size": size,
        "batch": batch,
        "dtype": dtype,
        "parameters": parameters(blueprint),
        "actions": blueprint.shape.chunk,
        "passes": [vars(one) for one in counted],
        "forward_passes": sum(one.count for one in counted),
        "flops": sum(one.count * one.flops for one in counted),
        "bytes": sum(one.count * (one.weights + one.cache) for one in counted),
        "bounds": {device.name: 1e3 * least_seconds(counted, device) for device in DEVICES},
    }


def timed(row: dict[str, Any], steps: int | None, repeats: int, device: Device) -> dict[str, Any]:
    """The row with the time that this device took, and its bound on this device."""
    recipe, form = find_recipe(row["recipe"]), row["form"]
    blueprint = recipe.build(row["size"], form) if form else recipe.build(row["size"])
    blueprint = in_type(blueprint, row["dtype"])
    timing = measure(blueprint, rows=row["batch"], steps=steps, repeats=repeats)
    counted = passes(blueprint, row["batch"], BYTES[row["dtype"]])
    return {
        **row,
        "p50": timing.p50,
        "p95": timing.p95,
        "per_action": timing.p50 / row["actions"],
        "repeats": timing.repeats,
        "compile_seconds": timing.compile_seconds,
        "own_bound": 1e3 * least_seconds(counted, device),
    }


def run(args: argparse.Namespace) -> None:
    """Run the bench."""
    for name, least in (("batch", 1), ("repeats", 1), ("steps", 1)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise UserError(f"--{name} must be at least {least}, got {value}.")
    names = list(RECIPES) if args.recipe == "all" else [find_recipe(args.recipe).name]
    if args.form is not None and args.recipe == "all":
        raise UserError("--form needs the name of one recipe.")
    sizes = ["tiny", "full"] if args.page else [args.size]
    own = own_device(device_name())
    accelerated = jax.default_backend() != "cpu"
    rows = []
    with (
        without_compile_cache(),
        Progress("bench sample", len(names) * len(sizes), "recipes") as progress,
    ):
        for name in names:
            for size in sizes:
                row = costs(name, args.form, size, args.batch)
                if size == "tiny" or accelerated:
                    row = timed(row, args.steps, args.repeats, own)
                rows.append(row)
                progress.advance(note=f"{name} {size}")
    result = {
        "device": device_name(),
        "versions": versions(),
        "own": vars(own),
        "rows": rows,
    }
    if args.page:
        args.page.parent.mkdir(parents=True, exist_ok=True)
        args.page.write_text(as_page(result), encoding="utf-8")
    print(json.dumps(result, indent=2) if args.json else as_text(result))


def _big(number: float, unit: str) -> str:
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number / 1e3:.3g} k{unit}"


def _rates(own: dict[str, Any]) -> str:
    return f"{own['flops'] / 1e9:.0f} GFLOP/s and {own['bandwidth'] / 1e9:.1f} GB/s"


def as_text(result: dict[str, Any]) -> str:
    """The result for a reader."""
    own = result["own"]
    lines = [
        f"{result['device']}, jax {result['versions']['jax']}; {_rates(own)} measured here",
        f"{'recipe':<15}{'size':<6}{'passes':>7}{'FLOP':>13}{'read':>11}{'p50 ms':>9}{'p95 ms':>9}"
        f"{'ms/action':>11}{'least ms':>10}  least ms elsewhere",
    ]
    for row in result["rows"]:
        there = ", ".join(f"{ms:.3g} ({name})" for name, ms in row["bounds"].items())
        measured = (
            f"{row['p50']:>9.2f}{row['p95']:>9.2f}{row['per_action']:>11.3f}{row['own_bound']:>10.3g}"
            if "p50" in row
            else f"{'-':>9}{'-':>9}{'-':>11}{'-':>10}"
        )
        lines.append(
            f"{row['recipe']:<15}{row['size']:<6}{row['forward_passes']:>7}"
            f"{_big(row['flops'], 'FLOP'):>13}{_big(row['bytes'], 'B'):>11}{measured}  {there}"
        )
    return "\n".join(lines)


def as_page(result: dict[str, Any]) -> str:
    """Two tables in Markdown: what was timed, and what full sizes cost at least."""
    tiny = [row for row in result["rows"] if "p50" in row]
    full = [row for row in result["rows"] if row["size"] == "full"]
    lines = [
        "# Milliseconds a chunk",
        "",
        "    wamjax bench sample --recipe all --page docs/results/sample.md",
        "",
        f"Device: {result['device']}, jax {result['versions']['jax']}. One chunk at a time, random "
        "weights, the whole",
        "program jitted, from the values of its inputs to its answers; encoders outside a recipe "
        "are not part of it.",
        "",
        "## Timed",
        "",
        "| recipe | size | parameters | passes | p50 ms | p95 ms | ms per action | least ms here |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row['recipe']}` | {row['size']} | {row['parameters']:,} | {row['forward_passes']} | "
        f"{row['p50']:.2f} | {row['p95']:.2f} | {row['per_action']:.3f} | {row['own_bound']:.3g} |"
        for row in tiny
    ]
    names = list(full[0]["bounds"]) if full else []
    heads = [f"{name}, ms" for name in names]
    lines += [
        "",
        f"{tiny[0]['repeats'] if tiny else 0} calls each. The least is what "
        f"{_rates(result['own'])} allow, the best of",
        "five matrix products and copies in the same run.",
        "",
        "## At least, at full size",
        "",
        "Not measured: FLOPs of all contractions and bytes of weights, keys and values, in "
        "bfloat16, counted on",
        "the traced program without making a weight; each pass takes at least FLOPs / peak or "
        "bytes / bandwidth,",
        "whichever is more. Peaks are the vendors' (dense bfloat16).",
        "",
        " | ".join(["| recipe", "parameters", "passes", "FLOP", "bytes", *heads]) + " |",
        "|---" * (5 + len(names)) + "|",
    ]
    lines += [
        f"| `{row['recipe']}` | {row['parameters'] / 1e9:.2f} B | {row['forward_passes']} | "
        f"{_big(row['flops'], 'FLOP')} | {_big(row['bytes'], 'B')} | "
        + " | ".join(f"{row['bounds'][name]:.3g}" for name in names)
        + " |"
        for row in full
    ]
    return "\n".join(lines) + "\n"
