"""The figures of tests/benchmarks/wan.py as Markdown."""

import dataclasses
import statistics
from typing import Any

from tests.benchmarks.turns import Contestant, Turn, spread

OURS = "wamjax"
PROGRAMS = ("forward", "train step")
PEERS = ("torch.compile", "MaxDiffusion")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One program by contestants that did the same.

    Attributes:
        program: of PROGRAMS.
        contestants, turns: by name.
        checks: what was found equal before.
        batch: samples of a call.
        loads: load averages before and behind the turns.
    """

    program: str
    contestants: dict[str, Contestant]
    turns: dict[str, list[Turn]]
    checks: list[str]
    batch: int
    loads: list[float]

    def cpu(self, name: str) -> list[float]:
        """Processor milliseconds of a call, turn by turn."""
        return [1e3 * self.batch * turn.cpu for turn in self.turns[name]]

    def wall(self, name: str) -> list[float]:
        """Milliseconds of a call, turn by turn."""
        return [1e3 * self.batch / turn.rate for turn in self.turns[name]]

    def ratios(self, name: str) -> list[float]:
        """Processor time of another over ours, turn by turn."""
        return [a / b for a, b in zip(self.cpu(name), self.cpu(OURS), strict=True)]

    def verdict(self, name: str) -> str:
        """Who is faster; a claim only where the ranges of the times do not overlap."""
        mine, other = self.cpu(OURS), self.cpu(name)
        if max(mine) < min(other):
            return "ours is faster"
        return "ours is slower" if min(mine) > max(other) else "the ranges overlap"


def table(comparison: Comparison) -> list[str]:
    """Rows of one program."""
    lines = [
        f"## {comparison.program.capitalize()}",
        "",
        *(f"- {line}" for line in comparison.checks),
        "",
        "| who | processor ms a call | wall ms a call | first call, s | its time / ours | |",
        "|---|---|---|---|---|---|",
    ]
    for name in comparison.turns:
        first = comparison.contestants[name].about["first"]
        told = f"{spread(comparison.ratios(name), 2)} | {comparison.verdict(name)}"
        lines.append(
            f"| {name} | {spread(comparison.cpu(name), 1)} | {spread(comparison.wall(name), 1)} "
            f"| {first:.1f} | {' | ' if name == OURS else told} |"
        )
    low, high = min(comparison.loads), max(comparison.loads)
    return [*lines, "", f"Load average before and behind the turns: {low:.1f} to {high:.1f}.", ""]


def summary(comparisons: list[Comparison]) -> list[str]:
    """The medians beside one another."""
    lines = [
        "## Training step on a CPU beside torch and MaxDiffusion",
        "",
        "Medians of processor milliseconds; the tables below have the ranges.",
        "",
        f"| program | {' | '.join((OURS, *PEERS))} |",
        "|---|---|" + "---|" * len(PEERS),
    ]
    for comparison in comparisons:
        cells = [f"{statistics.median(comparison.cpu(OURS)):.0f}"]
        for peer in PEERS:
            cells.append(
                f"{statistics.median(comparison.cpu(peer)):.0f} ({comparison.verdict(peer)})"
                if peer in comparison.turns
                else "-"
            )
        lines.append(f"| {comparison.program} | {' | '.join(cells)} |")
    return [*lines, ""]


def page(comparisons: list[Comparison], about: dict[str, Any]) -> str:
    """All of them."""
    versions: dict[str, str] = {}
    for name, contestant in comparisons[0].contestants.items():
        told = ", ".join(f"{p} {v}" for p, v in contestant.about["versions"].items())
        versions.setdefault(told, name)
    lines = [
        "# Wan beside diffusers' and MaxDiffusion's",
        "",
        "<!-- Made by the command below; edit tests/benchmarks/wan*.py. -->",
        "",
        "    python -m tests.benchmarks.wan --maxdiffusion PYTHON CHECKOUT --compile "
        "--page docs/results/wan.md",
        "",
        f"Device: {about['device']}; every contestant on the same core with one thread, in turns, "
        f"stopped while others have theirs; {about['repeats']} turns each after two to warm up; "
        "medians and ranges, ratios turn by turn. Nobody is called faster where ranges overlap. "
        f"The whole command took {about['seconds']:.0f} s.",
        "",
        f"{about['parameters']:,} parameters (256 wide, 4 heads of 64, 6 layers, feed-forward part "
        "1024), 4 samples of 192 video and 32 text tokens, float32, the same weights and inputs. "
        "Forward: the prediction without gradients. Train step: mean squared error, gradients of "
        "all weights, AdamW. The first call traces, compiles and runs, nothing cached; it is not "
        "taken in turns, so whatever else the machine does is in it.",
        "",
        "`wamjax` runs as `wamjax train` does on CPUs (`program_jit`, `keep_memory`), with "
        "`scan_layers=False`; PyTorch has the fused AdamW; MaxDiffusion has attention by plain "
        "products, no rematerialisation, weights donated to the step, on a jaxlib of its own.",
        "",
        *(f"- {name}: {told}" for told, name in versions.items()),
        "",
        *summary(comparisons),
    ]
    for comparison in comparisons:
        lines += table(comparison)
    return "\n".join(lines).rstrip() + "\n"
