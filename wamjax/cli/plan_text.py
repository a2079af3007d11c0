"""The report of `wamjax plan` for a reader."""

from wamjax.eval.plan.report import Report
from wamjax.eval.plan.search import Choice

MIB, GIB = 2**20, 2**30
STANDING = ("weights", "average", "optimizer", "batch")
PARTS = {
    "weights": "weights",
    "average": "their average",
    "optimizer": "optimizer",
    "batch": "batch",
    "temporary": "activations and temporaries",
    "code": "program",
}
STEP = {"train": "step", "sample": "chunk"}
ENTERS = {"train": "examples a step", "sample": "chunks at once"}
FLOPS = {
    "counted": "of the model, counted",
    "walked": "of the model, in the program",
    "done": "done, with what is made anew",
}
BOUNDS = {
    "products": "products",
    "memory": "memory",
    "links": "links within a slice",
    "network": "network between slices",
}
# What bounds a program -> what would make it faster, and of which program that is true.
ADVICE = {
    "train": {
        "products": "nothing but fewer FLOPs helps",
        "memory": "more examples a device help: the state and the weights are read once a step",
        "links": "more examples a device help, or fewer devices along fsdp: weights are gathered "
        "once a pass, whatever the batch",
        "network": "more examples a device help: gradients cross the network once a step",
    },
    "sample": {
        "products": "fewer solver steps help, or more devices along tensor",
        "memory": "more chunks at once help: the weights are read once a pass",
        "links": "fewer devices along fsdp help: each pass gathers what is split there",
        "network": "one slice for each copy of the weights helps",
    },
}
"""They follow from the laws of `eval.plan.bounds`."""
LITTLE = 0.02


PREFIXES = {1e18: "E", 1e15: "P", 1e12: "T", 1e9: "G", 1e6: "M", 1e3: "k"}


def big(number: float, unit: str) -> str:
    """1.5e12 -> "1.5 T"."""
    for factor, prefix in PREFIXES.items():
        if number >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def seconds_text(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def verdict(report: Report) -> str:
    """Whether it fits, in one sentence, and by what it does not."""
    total, limit = report.memory["total"], report.memory["limit"]
    sizes = f"{total / GIB:.1f} of {limit / GIB:.1f} GiB a device"
    if report.fits is None:
        return f"not compiled: what stands before and after takes {sizes}"
    if report.fits:
        return f"fits: {sizes}"
    standing = sum(report.memory[name] for name in STANDING if name in report.memory)
    share = standing / total
    most = (
        "most of it stands between steps: split it over more devices"
        if share > 0.5
        else "most of it is activations: fewer examples a device, more of tensor, or remat full"
    )
    over = f"{(total - limit) / GIB:.1f} GiB too much"
    return f"does not fit: {sizes}, {over}; {most}"


def as_text(report: Report) -> str:
    """All of a report."""
    mesh = ", ".join(f"{axis} {length}" for axis, length in report.mesh.items())
    step = STEP[report.what]
    trained = f", {report.trained:,} trained" if report.what == "train" else ""
    lines = [
        f"{report.name} on {report.slice}: {report.chips} chips, {report.devices} devices "
        f"(mesh {mesh})",
        f"{report.parameters:,} weights{trained}; {report.rows} {ENTERS[report.what]}"
        + ("" if report.tokens is None else f" of {report.tokens:,} tokens"),
        "",
        verdict(report),
    ]
    for name, text in PARTS.items():
        if name in report.memory:
            lines.append(f"  {text:<30}{report.memory[name] / MIB:>10,.1f} MiB")
    lines += ["", f"FLOPs a {step}"]
    for name, text in FLOPS.items():
        flops = report.flops[name]
        if flops is not None:
            lines.append(f"  {text:<30}{big(flops, 'FLOP'):>14}")
    if report.sent:
        lines += ["", f"sent by a device a {step}"]
        for one in sorted(report.sent, key=lambda one: -one["moved"]):
            over = " x ".join(one["axes"]) or "itself"
            over += " of slices" if one["network"] else ""
            times = f"{one['count']:,.0f} times"
            lines.append(
                f"  {one['kind'] + ' over ' + over:<34}{big(one['moved'], 'B'):>14}  {times}"
            )
    lines += ["", f"least time of a {step} (peaks of data sheets; nothing was measured)"]
    for name, text in BOUNDS.items():
        # What is sent is read off the compiled program.
        counted = report.compiled or name in ("products", "memory")
        told = seconds_text(report.seconds[name]) if counted else "not counted"
        lines.append(f"  {text:<30}{told:>14}")
    best, worst = report.seconds["best"], report.seconds["worst"]
    low, high = report.mfu
    lines += [
        f"  a {step} takes {seconds_text(best)} (all beside the {BOUNDS[report.bound]}) to "
        f"{seconds_text(worst)} (nothing beside anything, products at 70 % of peak)",
        f"  MFU {100 * low:.0f} to {100 * high:.0f} %",
    ]
    for name, (slow, fast) in report.rates.items():
        lines.append(f"  {slow:,.3g} to {fast:,.3g} {name} a second and chip")
    lines += ["", limits(report)]
    if report.compile_seconds is not None:
        lines.append(f"compiled in {report.compile_seconds:.0f} s")
    return "\n".join(lines)


def limits(report: Report) -> str:
    """What bounds it, by how much, and what would help."""
    name, parts = report.bound, [report.seconds[part] for part in BOUNDS]
    second = sorted(parts)[-2]
    ahead = f", {max(parts) / second:.1f} times the next" if second else ""
    beside = "" if report.compiled else " (of what is counted without the compiler)"
    told = f"limited by {BOUNDS[name]}{ahead}{beside}: {ADVICE[report.what][name]}"
    anew = 1 - report.flops["walked"] / report.flops["done"]
    if name == "products" and anew > LITTLE:
        told += (
            f"; {100 * anew:.0f} % of them are made anew, by remat, where a lighter one saves them "
            "if it fits, or in the backward pass of a kernel"
        )
    return told


def choices_text(found: list[tuple[Choice, Report]]) -> str:
    """Plans side by side, best first."""
    first = found[0][1]
    unit = next(iter(first.rates))
    lines = [f"{first.name} on {first.slice}: {len(found)} plans fit, best first", ""]
    lines.append(
        f"{'fsdp':>5}{'tensor':>7}{'batch':>7}{'remat':>7}{'GiB':>8}{STEP[first.what]:>22}"
        f"{'MFU %':>10}{unit + '/s/chip':>18}"
    )
    for choice, report in found:
        span = " to ".join(seconds_text(report.seconds[end]) for end in ("best", "worst"))
        slow, fast = report.rates[unit]
        lines.append(
            f"{choice.mesh.fsdp:>5}{choice.mesh.tensor:>7}{choice.rows:>7}{choice.remat:>7}"
            f"{report.memory['total'] / GIB:>8.1f}{span:>22}"
            f"{100 * report.mfu[0]:>5.0f}-{100 * report.mfu[1]:<4.0f}{slow:>9.3g}-{fast:<8.3g}"
        )
    return "\n".join(lines)
