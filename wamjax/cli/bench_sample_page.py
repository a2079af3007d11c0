"""The result of `wamjax bench sample` for a reader: lines of text, or a page in Markdown."""

from typing import Any

from wamjax.eval.ceilings import DEVICES

# Milliseconds a chunk, actions in it (arXiv 2603.22078, all on one device).
PUBLISHED = {
    "pi05": (63, 50),
    "x_vla": (195, 30),
    "ge_act": (300, 36),
    "cosmos_policy": (390, 16),
    "motus": (1175, 16),
    "lingbot_va": (5230, 32),
    "lingbot_va real_robot": (480, 32),
}
EXECUTED = (
    "of those that the published system executes before it predicts the next chunk; all of them "
    "where nothing is said"
)
COMMAND = "wamjax bench sample --recipe all --page docs/results/sample.md"


def _big(number: float, unit: str) -> str:
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number / 1e3:.3g} k{unit}"


def _count(number: int) -> str:
    return f"{number / 1e9:.2f} B" if number >= 1e9 else f"{number / 1e6:.3g} M"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


def _read(row: dict[str, Any]) -> str:
    return _big(row["weight_bytes"] + row["cache_bytes"], "B")


def _own(own: dict[str, Any]) -> str:
    cache = f"{own['cache'] / 2**20:.0f} MiB of cache" if own["cache"] < 1e15 else "cache unknown"
    rates = f"{own['flops'] / 1e9:,.0f} GFLOP/s of products, {own['bandwidth'] / 1e9:,.1f} GB/s"
    return f"{rates}, {cache}"


def _name(row: dict[str, Any]) -> str:
    form = f" {row['form']}" if row["form"] else ""
    return row["recipe"] + form + (f" best of {row['candidates']}" if row["candidates"] > 1 else "")


def as_text(result: dict[str, Any]) -> str:
    """The result for a reader."""
    lines = [
        f"{result['device']}, jax {result['versions']['jax']}; load "
        f"{result['load_before'][0]:.1f} before, {result['load_after'][0]:.1f} after",
        *(f"measured here in {dtype}: {_own(own)}" for dtype, own in result["own"].items()),
        f"{'recipe':<24}{'size':<5}{'weights':>10}{'passes':>7}{'FLOP':>13}{'read':>10}"
        f"{'p50 ms':>10}{'p95 ms':>10}{'ms/action':>11}{'least here':>11}{'compile':>9}",
    ]
    for row in result["rows"]:
        took = row["not_timed"] or (
            f"{row['p50_ms']:>10.2f}{row['p95_ms']:>10.2f}{row['per_action_ms']:>11.3f}"
            f"{row['own_bound_ms']:>11.3g}{row['compile_seconds']:>7.1f} s"
        )
        lines.append(
            f"{_name(row):<24}{row['size']:<5}{_count(row['parameters']):>10}"
            f"{row['forward_passes']:>7}{_big(row['flops'], 'FLOP'):>13}{_read(row):>10}"
            + (took if row["not_timed"] is None else f"  {took}")
        )
    if any(row["not_timed"] is None for row in result["rows"]):
        lines.append(f"ms/action: {EXECUTED}")
    full = [row for row in result["rows"] if row["size"] == "full"]
    if full:
        lines.append("a chunk takes at least (a bound, not a measurement):")
    for row in full:
        there = ", ".join(f"{_ms(ms)} ms {name}" for name, ms in row["bounds_ms"].items())
        lines.append(f"  {_name(row):<24}{row['size']:<5} {there}")
    return "\n".join(lines)


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def as_page(result: dict[str, Any]) -> str:
    """Two tables: what was timed, and what full sizes cost at least."""
    timed = [row for row in result["rows"] if row["not_timed"] is None]
    full = [row for row in result["rows"] if row["size"] == "full"]
    first = result["rows"][0]
    same = "" if first["steps"] is None else f" Solver steps: {first['steps']} in every walk."
    lines = [
        "# Milliseconds a chunk",
        "",
        f"<!-- Made by `{COMMAND}`; edit wamjax/cli/bench_sample_page.py. -->",
        "",
        f"    {COMMAND}",
        "",
        f"Device: {result['device']}. Versions: python {result['versions']['python']}, jax "
        f"{result['versions']['jax']}. Load average {result['load_before'][0]:.1f} when the run "
        f"began, {result['load_after'][0]:.1f} when it ended. {first['batch']} chunk at a time, "
        "random weights, the whole sampler program (prefill, solver, guidance, caches) as one "
        "compiled program, from the values of its inputs to its answers. Image encoders, text "
        "encoders and codecs that stand outside a recipe are not part of it, and neither are "
        f"transfers to the device.{same}",
        "",
        "## Timed",
        "",
        _cells(
            "recipe",
            "size",
            "parameters",
            "passes",
            "FLOP",
            "p50 ms",
            "p95 ms",
            "executed / actions",
            "ms per executed action",
            "at least here, ms",
            "compile, s",
        ),
        "|---" * 11 + "|",
    ]
    lines += [
        _cells(
            f"`{_name(row)}`",
            row["size"],
            f"{row['parameters']:,}",
            str(row["forward_passes"]),
            _big(row["flops"], "FLOP"),
            f"**{row['p50_ms']:.2f}**",
            f"{row['p95_ms']:.2f}",
            f"{row['executed']} / {row['actions']}",
            f"{row['per_action_ms']:.3f}",
            f"{row['own_bound_ms']:.3g}",
            f"{row['compile_seconds']:.1f}",
        )
        for row in timed
    ]
    repeats = (
        f"{timed[0]['repeats']} calls each, behind three that are not timed. " if timed else ""
    )
    own = "; ".join(f"{dtype}: {_own(one)}" for dtype, one in result["own"].items())
    lines += [
        "",
        f"{repeats}Executed: {EXECUTED}. Compile times are cold, the cache of "
        "compiled programs neither read nor written. At least here: the roofline of this device, "
        f"from the best product and the best copy measured in the same run ({own}); tiny weights "
        "stay in the cache, so there it is arithmetic alone.",
    ]
    if full:
        lines += ["", *_full(full)]
    return "\n".join(lines) + "\n"


def _full(rows: list[dict[str, Any]]) -> list[str]:
    names = list(rows[0]["bounds_ms"])
    heads = [f"{name}, at least ms" for name in names]
    columns = ["recipe", "parameters", "passes", "FLOP", "weights read", "cache read", *heads]
    peaks = "; ".join(
        f"{device.name} {device.flops / 1e12:.0f} TFLOP/s, {device.bandwidth / 1e12:.3g} TB/s, "
        f"{device.cache / 2**20:.0f} MiB"
        for device in DEVICES
    )
    lines = [
        "## Full sizes: a bound, not a measurement",
        "",
        f"Counted on the traced program in {rows[0]['dtype']}, without making a weight: FLOPs of "
        "all contractions, bytes of the weights that each pass reads (of word tables the rows that "
        "are looked up) and of cached keys and values. A pass takes at least the larger of FLOPs / "
        "peak and (bytes - cache) / bandwidth, where the cache on the chip may keep that much from "
        f"pass to pass; a chunk at least the sum of its passes. Dense bfloat16 peaks: {peaks}. "
        "Sources: the data sheets of NVIDIA; for TPU v6e the book How To Scale Your Model.",
        "",
        _cells(*columns, "actions", "published ms / actions"),
        "|---" * (len(columns) + 2) + "|",
    ]
    for row in rows:
        published = PUBLISHED.get(_name(row))
        lines.append(
            _cells(
                f"`{_name(row)}`",
                _count(row["parameters"]),
                str(row["forward_passes"]),
                _big(row["flops"], "FLOP"),
                _big(row["weight_bytes"], "B"),
                _big(row["cache_bytes"], "B"),
                *(_ms(row["bounds_ms"][name]) for name in names),
                str(row["actions"]),
                f"{published[0]:,} / {published[1]}" if published else "",
            )
        )
    return [
        *lines,
        "",
        "Published: arXiv 2603.22078, whole systems with their encoders, all on one device; so the "
        "two columns differ in more than the distance from the roofline.",
    ]
