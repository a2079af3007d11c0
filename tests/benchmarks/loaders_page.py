"""The loaders' figures as Markdown."""

import dataclasses
import statistics
from typing import Any

from tests.benchmarks.turns import Contestant, Turn, spread

OURS = "wamjax"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Contestants that did the same work.

    Attributes:
        work: in words.
        contestants, turns: by name; OURS reads every frame from disk.
        checks: what was found equal before.
        targets: name of a peer -> times its rate that ours is to reach.
    """

    work: str
    contestants: dict[str, Contestant]
    turns: dict[str, list[Turn]]
    checks: list[str]
    targets: dict[str, float]

    def ratios(self, peer: str) -> list[float]:
        """Our rate over a peer's, turn by turn."""
        pairs = zip(self.turns[OURS], self.turns[peer], strict=True)
        return [mine.rate / theirs.rate for mine, theirs in pairs]


def table(comparison: Comparison) -> list[str]:
    """Rows of one comparison, with what was checked and whether targets were reached."""
    lines = [
        f"## {comparison.work}",
        "",
        *(f"- {line}" for line in comparison.checks),
        "",
        "| loader | samples a second | processor ms a sample | first batch, s | ours / it |",
        "|---|---|---|---|---|",
    ]
    for name, turns in comparison.turns.items():
        ratio = "" if name == OURS else spread(comparison.ratios(name), 2)
        lines.append(
            f"| {name} | {spread([turn.rate for turn in turns])} "
            f"| {spread([1e3 * turn.cpu for turn in turns], 3)} "
            f"| {comparison.contestants[name].first:.2f} | {ratio} |"
        )
    lines.append("")
    for peer, target in comparison.targets.items():
        if peer in comparison.turns:
            found = statistics.median(comparison.ratios(peer))
            word = "reached" if found >= target else "MISSED"
            lines.append(f"- at least {target:.2f} times {peer}: {found:.2f}, {word}")
    return [*lines, ""]


def page(comparisons: list[Comparison], about: dict[str, Any]) -> str:
    """All of them."""
    versions: dict[str, Any] = {}
    for comparison in comparisons:
        for contestant in comparison.contestants.values():
            versions |= contestant.about.get("versions", {}) or contestant.about
    lines = [
        "# Loaders beside ours",
        "",
        "<!-- Made by the command below; edit tests/benchmarks/loaders*.py. -->",
        "",
        "    python -m tests.benchmarks.loaders --octo OCTO DLIMP --lerobot PYTHON "
        "--page docs/results/loaders.md",
        "",
        f"Device: {about['device']}; every contestant pinned to the same {about['cores']} cores, "
        f"in turns, stopped while others have theirs; {about['repeats']} turns each after two to "
        f"warm up; medians and ranges; ratios are taken turn by turn. Load average "
        f"{about['load']}. The whole command took {about['seconds']:.0f} s.",
        "",
        "`wamjax` decodes every frame at each use (`data.cache_bytes=0`), with as many threads "
        "(`data.workers`) as there are cores and two batches made ahead. The files are in the page "
        "cache for all. The first batch counts from the opening of the data set on.",
        "",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
    ]
    for comparison in comparisons:
        lines += table(comparison)
    return "\n".join(lines).rstrip() + "\n"
