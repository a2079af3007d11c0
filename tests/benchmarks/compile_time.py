"""How long a full-size train step takes to compile for a CPU: cold, and again from the cache.

    python -m tests.benchmarks.compile_time [RECIPE ...] [--repeats 3] [--page FILE]

Every measurement is a process of its own, from before jax is imported to the finished executable:
cold with an empty compile cache, warm with the cache that the cold one has filled. Nothing runs and
no weight is made. RECIPE: a name of `wamjax recipes`, by default fast_wam, whose trunk of Wan2.2-5B
has 30 layers.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import Any

ROWS = 4
KINDS = ("cold", "warm")


def once(name: str, cache: str) -> dict[str, float]:
    """A process that compiles: wall and processor seconds, weights and layers."""
    command = [sys.executable, "-m", "tests.benchmarks.compile_time", name, "--cache", cache]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]) | {"wall": time.monotonic() - started}


def compile_in(name: str, cache: str) -> dict[str, float]:
    """What `once` starts."""
    import jax

    from wamjax.core.runtime import enable_compile_cache
    from wamjax.eval.plan.case import case_of_recipe
    from wamjax.parallel.mesh import MeshConfig, make_mesh
    from wamjax.recipes.registry import find_recipe
    from wamjax.train.flops import compiled

    enable_compile_cache(cache)
    case = case_of_recipe(find_recipe(name), ROWS)
    placed = case.placed(make_mesh(MeshConfig(data=1, fsdp=-1)))
    compiled(placed.program, *placed.arguments)
    assert case.blueprint is not None
    assert jax.default_backend() == "cpu"
    return {
        "cpu": time.process_time(),
        "weights": placed.parameters,
        "layers": max(stack.depth for stack in case.blueprint.model.stacks),
    }


@dataclasses.dataclass
class Row:
    """A recipe's times, and what it is."""

    name: str
    times: dict[str, list[dict[str, float]]]

    def cell(self, kind: str, clock: str) -> str:
        """Median and range, seconds."""
        found = [time[clock] for time in self.times[kind]]
        return f"{median(found):.1f} ({min(found):.1f} to {max(found):.1f})"


def measured(name: str, repeats: int) -> Row:
    """Cold and warm, by turns."""
    times: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            for kind in KINDS:
                times[kind].append(once(name, cache))
    return Row(name, times)


def table(rows: list[Row]) -> list[str]:
    """Markdown."""
    head = ["recipe", "layers", "weights"]
    head += [f"{kind}, {clock} s" for kind in KINDS for clock in ("wall", "processor")]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        one = row.times["cold"][0]
        cells = [f"`{row.name}`", f"{one['layers']}", f"{one['weights'] / 1e9:.2f} B"]
        cells += [row.cell(kind, clock) for kind in KINDS for clock in ("wall", "cpu")]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def page(rows: list[Row], about: dict[str, Any]) -> str:
    """The page."""
    load = " to ".join(f"{value:.1f}" for value in about["load"])
    return "\n".join(
        [
            "# Compile time of the full-size train step",
            "",
            "<!-- Made by the command below; edit tests/benchmarks/compile_time.py. -->",
            "",
            f"    {about['command']}",
            "",
            f"Device: {about['device']}; jax {about['jax']}; load average {load}. "
            f"Medians and ranges of {about['repeats']} processes each, from before jax is imported "
            "to the finished executable. Cold: with an empty compile cache. Warm: with the cache "
            f"that the cold one has filled. bfloat16, {ROWS} examples, everything made anew in the "
            "backward pass, for one CPU device; nothing runs.",
            "",
            *table(rows),
            "",
        ]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Compile time at full size")
    parser.add_argument("recipes", nargs="*", default=["fast_wam"], metavar="RECIPE")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--page", type=pathlib.Path)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cache is not None:
        print(json.dumps(compile_in(args.recipes[0], args.cache)))
        return
    before = os.getloadavg()[0]
    rows = [measured(name, args.repeats) for name in args.recipes]
    print("\n".join(table(rows)))
    if args.page:
        from wamjax.core.runtime import device_name, versions

        about = {
            "command": " ".join(["python -m tests.benchmarks.compile_time", *sys.argv[1:]]),
            "device": device_name(),
            "jax": versions()["jax"],
            "load": (before, os.getloadavg()[0]),
            "repeats": args.repeats,
        }
        args.page.write_text(page(rows, about))


if __name__ == "__main__":
    main()
