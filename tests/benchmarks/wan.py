"""A Wan of 7.0 M parameters: ours, diffusers' in PyTorch, MaxDiffusion's in Flax, on one core.

    python -m tests.benchmarks.wan --maxdiffusion PYTHON CHECKOUT [--compile] [--repeats 9]
                                   [--page FILE]

Needs the extra `reference`. PYTHON has MaxDiffusion's requirements (on Python 3.11: jax 0.10.2,
flax 0.12.8, torch, google-cloud-storage, tokamax, qwix, aqtp, transformers below 5, pillow), and
CHECKOUT is its repository. Each contestant is a process with weights of the same checkpoint and the
same inputs, in turns on the same core, with one thread. Outputs, and for the train step (mean
squared error, AdamW) losses and weights after two steps, are checked equal first.
"""

import argparse
import dataclasses
import os
import pathlib
import sys
import tempfile
import time

import numpy as np

from tests.benchmarks.turns import Contestant, compete
from tests.benchmarks.wan_page import PROGRAMS, Comparison, page, table
from tests.benchmarks.wan_work import RATE, STEPS, Work, write
from tests.model.wan_reference import PATCH, Sizes, reference
from wamjax.core.runtime import device_name

SIZES = Sizes(heads=4, head_dim=64, depth=6, mlp=1024, text=64, channels=16)
BATCH, WORDS, GRID = 4, 32, (3, 8, 8)
CALLS = {"forward": 8, "train step": 3}
REFERENCE = "torch eager"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
}


def commands(maxdiffusion: list[str] | None, compiled: bool) -> dict[str, tuple[list[str], dict]]:
    """Contestant -> its program and settings beside the work."""

    def module(name: str, python: str = sys.executable) -> list[str]:
        return [python, "-m", f"tests.benchmarks.wan_{name}"]

    found = {
        "wamjax": (module("ours"), {"scan_layers": False}),
        "wamjax, layers scanned": (module("ours"), {"scan_layers": True}),
        REFERENCE: (module("torch"), {"compiled": False}),
    }
    if compiled:
        found["torch.compile"] = (module("torch"), {"compiled": True})
    if maxdiffusion:
        python, path = maxdiffusion
        for name, scanned in (("MaxDiffusion", False), ("MaxDiffusion, layers scanned", True)):
            told = {"path": path, "scan_layers": scanned}
            found[name] = (module("maxdiffusion", python), told)
    return found


def made(root: pathlib.Path) -> tuple[Work, int]:
    """Weights and inputs in files, and how many weights there are."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=(BATCH, *shape)).astype(np.float32)

    frames, rows, columns = GRID
    shape = (SIZES.channels, frames, rows * PATCH, columns * PATCH)
    inputs = {
        "latents": draw(*shape),
        "target": draw(*shape),
        "text": draw(WORDS, SIZES.text),
        "sigma": rng.uniform(size=BATCH).astype(np.float32),
    }
    model = reference(SIZES, seed=0, noise=0.02)
    weights = {name: weight.detach().numpy() for name, weight in model.state_dict().items()}
    work = Work(str(root), "forward", dataclasses.asdict(SIZES))
    return work, write(work, weights, inputs)


def check(name: str, mine: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> str:
    """The contestant does what PyTorch does.

    After few steps AdamW moves a weight by its gradient's sign: where the gradient is next to
    nothing, rounding decides. So weights are held equal on average, not each by itself.
    """
    if "output" in mine:
        off = np.abs(mine["output"] - want["output"]).max() / np.abs(want["output"]).max()
        assert off < 2e-5, (name, off)
        return f"{name}: output {off:.1e} off, relative to its largest value"
    np.testing.assert_allclose(mine["loss"], want["loss"], rtol=2e-5)
    apart = np.abs(mine["weights"] - want["weights"]) / RATE
    assert apart.mean() < 1e-2, (name, apart.mean())
    assert apart.max() < 2.1 * STEPS, (name, apart.max())
    loss = np.abs(mine["loss"] / want["loss"] - 1).max()
    return (
        f"{name}: losses of {STEPS} steps {loss:.1e} off, weights {apart.mean():.1e} of the "
        f"learning rate apart on average after them"
    )


def measured(
    work: Work, called: dict[str, tuple[list[str], dict]], root: pathlib.Path, repeats: int
) -> Comparison:
    """One program by all of them."""
    told = {"work": dataclasses.asdict(work)}
    contestants, checks, found = {}, [], {}
    for name, (command, settings) in called.items():
        contestants[name] = Contestant(command, settings | told, CALLS[work.program])
        found[name] = contestants[name].examples(root / "examples.npz")
    for name, mine in found.items():
        if name != REFERENCE:
            checks.append(check(name, mine, found[REFERENCE]))
    loads = [os.getloadavg()[0]]
    turns = compete(contestants, repeats)
    loads.append(os.getloadavg()[0])
    for contestant in contestants.values():
        contestant.end()
    return Comparison(work.program, contestants, turns, checks, BATCH, loads)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--maxdiffusion", nargs=2, metavar=("PYTHON", "CHECKOUT"))
    add("--compile", action="store_true", help="torch.compile, too")
    add("--repeats", type=int, default=9)
    add("--only", choices=PROGRAMS)
    add("--page", type=pathlib.Path)
    args = parser.parse_args()
    started = time.monotonic()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)  # the first call compiles
    comparisons = []
    with tempfile.TemporaryDirectory() as place:
        root = pathlib.Path(place)
        os.environ |= ONE_THREAD | {"TORCHINDUCTOR_CACHE_DIR": str(root / "inductor")}
        work, count = made(root)
        called = commands(args.maxdiffusion, args.compile)
        for program in PROGRAMS:
            if args.only in (None, program):
                mine = dataclasses.replace(work, program=program)
                comparisons.append(measured(mine, called, root, args.repeats))
                print("\n".join(table(comparisons[-1])), flush=True)
    about = {
        "device": device_name(),
        "repeats": args.repeats,
        "parameters": count,
        "seconds": time.monotonic() - started,
    }
    print(f"{count:,} parameters, {about['seconds']:.0f} s")
    if args.page:
        args.page.write_text(page(comparisons, about))


if __name__ == "__main__":
    main()
