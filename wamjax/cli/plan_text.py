"""The report of `wamjax plan` for a reader."""

from wamjax.eval.plan.report import Report
from wamjax.eval.plan.search import Choice

MIB, GIB = 2**20, 2**30
PARTS = {
    "weights": "weights, float32",
    "average": "their average",
    "optimizer": "optimizer",
    "batch": "batch",
    "temporary": "activations and temporaries",
    "code": "program",
}
BOUNDS = {
    "products": "products",
    "memory": "memory",
    "links": "links within a slice",
    "network": "network between slices",
}


def big(number: float, unit: str) -> str:
    """1.5e12 -> "1.5 T"."""
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def verdict(report: Report) -> str:
    """Whether it fits, in one sentence."""
    total, limit = report.memory["total"], report.memory["limit"]
    sizes = f"{total / GIB:.1f} of {limit / GIB:.1f} GiB a device"
    if report.fits is None:
        return f"not compiled: what stands between steps takes {sizes}"
    if report.fits:
        return f"fits: {sizes}"
    return f"does not fit: {sizes}, {(total - limit) / GIB:.1f} GiB too much"


def as_text(report: Report) -> str:
    """All of a report."""
    mesh = ", ".join(f"{axis} {length}" for axis, length in report.mesh.items())
    lines = [
        f"{report.name} on {report.slice}: {report.chips} chips, {report.devices} devices "
        f"(mesh {mesh})",
        f"{report.parameters:,} weights, {report.trained:,} trained; {report.rows} examples a step"
        + ("" if report.tokens is None else f" of {report.tokens:,} tokens"),
        "",
        verdict(report),
    ]
    for name, text in PARTS.items():
        if name in report.memory:
            lines.append(f"  {text:<30}{report.memory[name] / MIB:>10,.1f} MiB")
    lines += ["", "FLOPs a step"]
    if report.flops["counted"] is not None:
        lines.append(f"  {'of the model, counted':<30}{big(report.flops['counted'], 'FLOP'):>14}")
    done = report.flops["done"] or 0.0
    lines.append(f"  {'done, with what is made anew':<30}{big(done, 'FLOP'):>14}")
    if report.sent:
        lines += ["", "sent by a device a step"]
        for one in sorted(report.sent, key=lambda one: -one["moved"]):
            over = " x ".join(one["axes"]) or "itself"
            times = f"{one['count']:,.0f} times"
            lines.append(
                f"  {one['kind'] + ' over ' + over:<30}{big(one['moved'], 'B'):>14}  {times}"
            )
    lines += ["", "least time of a step (peaks of data sheets; nothing was measured)"]
    for name, text in BOUNDS.items():
        # What is sent is read off the compiled program.
        counted = report.fits is not None or name in ("products", "memory")
        told = _seconds(report.seconds[name]) if counted else "not counted"
        lines.append(f"  {text:<30}{told:>14}")
    best, worst = report.seconds["best"], report.seconds["worst"]
    low, high = report.mfu
    lines += [
        f"  a step takes {_seconds(best)} (all beside the {BOUNDS[report.bound]}) to "
        f"{_seconds(worst)} (nothing beside anything, products at 70 % of peak)",
        f"  MFU {100 * low:.0f} to {100 * high:.0f} %",
    ]
    for name, (slow, fast) in report.rates.items():
        lines.append(f"  {slow:,.3g} to {fast:,.3g} {name} a second and chip")
    if report.compile_seconds is not None:
        lines.append(f"  compiled in {report.compile_seconds:.0f} s")
    return "\n".join(lines)


def choices_text(found: list[tuple[Choice, Report]]) -> str:
    """Plans side by side, best first."""
    lines = [f"{found[0][1].name} on {found[0][1].slice}: {len(found)} plans fit, best first", ""]
    lines.append(
        f"{'fsdp':>5}{'tensor':>7}{'batch':>7}{'remat':>7}{'GiB':>8}{'step':>22}{'MFU %':>10}"
        f"{'windows/s/chip':>18}"
    )
    for choice, report in found:
        span = f"{_seconds(report.seconds['best'])} to {_seconds(report.seconds['worst'])}"
        slow, fast = report.rates["windows"]
        lines.append(
            f"{choice.mesh.fsdp:>5}{choice.mesh.tensor:>7}{choice.rows:>7}{choice.remat:>7}"
            f"{report.memory['total'] / GIB:>8.1f}{span:>22}"
            f"{100 * report.mfu[0]:>5.0f}-{100 * report.mfu[1]:<4.0f}{slow:>9.3g}-{fast:<8.3g}"
        )
    return "\n".join(lines)
