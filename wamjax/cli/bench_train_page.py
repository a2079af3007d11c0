"""The result of `wamjax bench train` for a reader: lines of text, or a page in Markdown."""

from typing import Any

from wamjax.cli.plan_text import GIB, MIB, PARTS, big
from wamjax.model.backends import ways_text

COMMAND = "wamjax bench train --recipe all --page docs/results/train_step.md"
BOUNDS = {"products": "products", "memory": "reading and writing the state"}


def _peak(result: dict[str, Any]) -> str:
    peak = result["peak"]
    return (
        f"{peak['name']}: {big(peak['flops'], 'FLOP/s')} of products in {result['dtype']}, "
        f"{big(peak['bandwidth'], 'B/s')} of memory"
    )


def _mesh(row: dict[str, Any]) -> str:
    split = [f"{axis} {length}" for axis, length in row["mesh"].items() if length > 1]
    return ", ".join(split) or "one device"


def as_text(result: dict[str, Any]) -> str:
    """The result for a reader."""
    lines = [
        f"{result['device']} x {result['devices']}, jax {result['versions']['jax']}; load "
        f"{result['load_before'][0]:.1f} before, {result['load_after'][0]:.1f} after",
        f"peak of {_peak(result)}",
    ]
    for row in result["rows"]:
        lines += ["", *_lines(row)]
    return "\n".join(lines)


def _lines(row: dict[str, Any]) -> list[str]:
    anew = row["flops"]["done"] / row["flops"]["model"] - 1
    least = max(row["least_ms"].values())
    tokens = f" of {row['tokens']:,} tokens" if row["tokens"] is not None else ""
    rates = f"{row['examples_per_second']:,.4g} examples a second"
    if row["tokens"] is not None:
        rates += f", {big(row['tokens_per_second'], 'tokens')} a second"
    lines = [
        f"{row['name']}: {row['parameters']:,} weights, {row['trained']:,} trained; {row['rows']} "
        f"examples a step{tokens}; {_mesh(row)}",
        f"  step        p50 {row['p50_ms']:.4g} ms, p95 {row['p95_ms']:.4g} ms ({row['repeats']} "
        f"steps); {rates}",
        f"  FLOPs       {big(row['flops']['model'], 'FLOP')} of the model, "
        f"{big(row['flops']['done'], 'FLOP')} done ({100 * anew:.0f} % made anew)",
        f"  MFU         {100 * row['mfu']:.1f} %, HFU {100 * row['hfu']:.1f} %",
        f"  at least    {least:.4g} ms, bound by {BOUNDS[row['bound']]}; a step takes "
        f"{row['p50_ms'] / least:.2f} times that",
    ]
    if row["attention"]:
        lines.append(f"  attention   {ways_text(row['attention'])}")
    if row["data_wait_share"] is not None:
        lines.append(f"  data        {100 * row['data_wait_share']:.1f} % of the time is waiting")
    told = [
        f"{name} {row['memory'][part] / MIB:,.1f} MiB"
        for part, name in PARTS.items()
        if part in row["memory"]
    ]
    lines.append(f"  memory      {', '.join(told)}")
    if "peak" in row["memory"]:
        lines.append(f"              at most {row['memory']['peak'] / GIB:.2f} GiB in use")
    lines.append(f"  compiled    in {row['compile_seconds']:.1f} s")
    return lines


def as_page(result: dict[str, Any]) -> str:
    """A table with a row for each recipe."""
    rows = result["rows"]
    heads = (
        "recipe", "weights", "examples x tokens", "FLOP", "p50 ms", "p95 ms", "examples / s",
        "MFU %", "HFU %", "at least, ms", "state, MiB", "temporaries, MiB", "compile, s",
    )  # fmt: skip
    lines = [
        "# Milliseconds a train step",
        "",
        f"<!-- Made by `{COMMAND}`; edit wamjax/cli/bench_train_page.py. -->",
        "",
        f"    {COMMAND}",
        "",
        f"Device: {result['device']} x {result['devices']}. Versions: python "
        f"{result['versions']['python']}, jax {result['versions']['jax']}. Load average "
        f"{result['load_before'][0]:.1f} when the run began, {result['load_after'][0]:.1f} when it "
        f"ended. Size: {result['size']}, products in {result['dtype']}; {rows[0]['repeats']} steps "
        "each, behind three that are not timed, from the call to the last number. Random values, "
        "fresh weights; loss, gradient, AdamW and the averaged weights in one program. Compile "
        "times are cold. FLOP: of the model's forward and backward pass; MFU divides them, HFU all "
        "that is done, by the time and the peak. At least: the larger of all FLOPs at the peak and "
        f"the state read and written once. Peak of {_peak(result)}.",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for row in rows:
        memory = row["memory"]
        state = sum(memory[part] for part in ("weights", "average", "optimizer"))
        cells = (
            f"`{row['name']}`",
            f"{row['parameters']:,}",
            f"{row['rows']} x {row['tokens'] or '?'}",
            big(row["flops"]["model"], "FLOP"),
            f"**{row['p50_ms']:.1f}**",
            f"{row['p95_ms']:.1f}",
            f"{row['examples_per_second']:.1f}",
            f"{100 * row['mfu']:.0f}",
            f"{100 * row['hfu']:.0f}",
            f"{max(row['least_ms'].values()):.1f}",
            f"{state / MIB:,.1f}",
            f"{memory['temporary'] / MIB:,.1f}",
            f"{row['compile_seconds']:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
