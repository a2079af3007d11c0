"""FastWAM's core of 9.5 M parameters, ours and PyTorch's, on one pinned core.

    python -m tests.benchmarks.fast_wam [--repeats 9] [--compile] [--json FILE] [--page FILE]

Same weights, inputs and noise; outputs are checked equal first; contestants take turns, one call
each, in a process that keeps the memory that it frees, as `wamjax train` does (PyTorch allocates
little anew either way). What is timed: a train step (loss, gradients, AdamW; batch 4) and sampling
of actions alone (prefill of the first frame, ten Euler steps; batch 1). Beside them stands what our
program's matrix products alone take at the rate of the best product measured on that core in the
same run.
"""

import argparse
import functools
import json
import os
import pathlib
import statistics
import time
from collections.abc import Callable

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["OMP_NUM_THREADS"] = "1"

import jax  # noqa: E402

from wamjax.core.runtime import device_name, keep_memory, versions  # noqa: E402

keep_memory()

import numpy as np  # noqa: E402
import optax  # noqa: E402
import torch  # noqa: E402

from tests.benchmarks.fast_wam_programs import Inputs, inputs, ours, pair  # noqa: E402
from wamjax.eval.ceilings import own_device  # noqa: E402
from wamjax.train.flops import count_flops  # noqa: E402

RATE, DECAY = 1e-4, 1e-2


def timed(contestants: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of CPU time of each call, in turns, after five calls each to warm up."""
    for _ in range(5):
        for run in contestants.values():
            run()
    out: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            start = time.process_time()
            run()
            out[name].append(1e3 * (time.process_time() - start))
    return out


Contestants = tuple[dict[str, Callable[[], object]], float]


def train_step(given: Inputs, compiled: bool) -> Contestants:
    """One optimizer step of each, and the FLOPs of ours; the first losses are checked equal."""
    model, params = pair()
    optimizer = optax.adamw(RATE, b1=0.9, b2=0.999, eps=1e-8, weight_decay=DECAY)
    loss_of = ours().loss

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state):
        loss, slopes = jax.value_and_grad(loss_of)(params, given.ours)
        change, state = optimizer.update(slopes, state, params)
        return optax.apply_updates(params, change), state, loss

    torch_optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)

    def torch_loss() -> torch.Tensor:
        t = given.theirs
        video, action = model(*t["inputs"])
        video_loss = (video - t["video_velocity"]).square().mean()
        return video_loss + (action - t["action_velocity"]).square().mean()

    def torch_step(loss_of: Callable[[], torch.Tensor]) -> float:
        torch_optimizer.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        torch_optimizer.step()
        return float(loss.detach())

    first = float(jax.jit(loss_of)(params, given.ours))
    theirs = float(torch_loss().detach())
    assert abs(first - theirs) < 1e-5 * theirs, (first, theirs)
    held = [params, jax.jit(optimizer.init)(params)]  # donated to each step

    def our_step() -> None:
        held[0], held[1], loss = step(held[0], held[1])
        jax.block_until_ready((held[0], loss))

    found: dict[str, Callable[[], object]] = {
        "wamjax": our_step,
        "torch eager": lambda: torch_step(torch_loss),
    }
    if compiled:
        faster = torch.compile(torch_loss)
        found["torch.compile"] = lambda: torch_step(faster)
    return found, count_flops(step.trace(*held).jaxpr)


def sampling(given: Inputs, compiled: bool) -> Contestants:
    """Actions of each, checked equal, and the FLOPs of ours."""
    model, params = pair()
    draw = jax.jit(ours().sample)
    told = given.theirs["sample"]
    a = np.asarray(draw(params, given.sample))
    b = model.sample(*told).numpy()
    np.testing.assert_allclose(a, b, atol=1e-4)
    found: dict[str, Callable[[], object]] = {
        "wamjax": lambda: jax.block_until_ready(draw(params, given.sample)),
        "torch eager": lambda: model.sample(*told),
    }
    if compiled:
        faster = torch.compile(model.sample)
        np.testing.assert_allclose(a, faster(*told).numpy(), atol=1e-4)
        found["torch.compile"] = lambda: faster(*told)
    return found, count_flops(draw.trace(params, given.sample).jaxpr)


def page(rows: dict[str, dict[str, list[float]]], floors: dict[str, float], about: dict) -> str:
    """The figures as Markdown."""
    lines = [
        "# FastWAM's core beside PyTorch's",
        "",
        "<!-- Made by the command below; edit tests/benchmarks/fast_wam.py. -->",
        "",
        "    python -m tests.benchmarks.fast_wam --compile --page docs/results/fast_wam.md",
        "",
        f"Device: {about['device']}, one pinned core; float32. torch {about['torch']}; "
        + ", ".join(f"{name} {version}" for name, version in about["versions"].items())
        + f". Load average {about['load'][0]:.1f} when the run ended. 9.5 M parameters, 192 video "
        "and 16 action tokens; the same weights, inputs and noise, outputs checked equal first; "
        "contestants take turns. CPU time of a call; ratios are taken turn by turn.",
        "",
        "| program | who | median ms | range | times ours | range |",
        "|---|---|---|---|---|---|",
    ]
    for name, times in rows.items():
        for who, found in times.items():
            ratio = [a / b for a, b in zip(found, times["wamjax"], strict=True)]
            lines.append(
                f"| {name} | {who} | {statistics.median(found):.1f} "
                f"| {min(found):.1f} to {max(found):.1f} | {statistics.median(ratio):.2f} "
                f"| {min(ratio):.2f} to {max(ratio):.2f} |"
            )
    lines += ["", f"Matrix products alone, at the best rate of this core ({about['peak']}):", ""]
    lines += [f"- {name}: {floor:.0f} ms" for name, floor in floors.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[str, list[float]]] = {}
    floors: dict[str, float] = {}
    peak = own_device("float32").flops
    for name, make, batch in (("train step", train_step, 4), ("sampling", sampling, 1)):
        contestants, flops = make(inputs(batch), args.compile)
        rows[name] = times = timed(contestants, args.repeats)
        floors[name] = 1e3 * flops / peak
        for who, found in times.items():
            ratio = [a / b for a, b in zip(found, times["wamjax"], strict=True)]
            print(
                f"{name:<12}{who:<15}{statistics.median(found):8.1f} ms "
                f"({min(found):.1f} to {max(found):.1f})   "
                f"{statistics.median(ratio):.2f} times ours ({min(ratio):.2f} to {max(ratio):.2f})",
                flush=True,
            )
        print(f"{name:<12}{'products alone':<15}{floors[name]:8.1f} ms", flush=True)
    about = {
        "device": device_name(),
        "load": os.getloadavg(),
        "torch": torch.__version__,
        "versions": versions(),
        "peak": f"{peak / 1e9:.0f} GFLOP/s",
    }
    if args.json:
        args.json.write_text(json.dumps({**about, "cpu_ms": rows, "floor_ms": floors}, indent=2))
    if args.page:
        args.page.write_text(page(rows, floors, about))


if __name__ == "__main__":
    main()
