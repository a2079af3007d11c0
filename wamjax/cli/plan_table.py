"""`wamjax plan --table`: the smallest slice of each family for every full-size recipe, as a page.

Every program that is compiled is kept, so a table that was cut short goes on where it was, and one
that is only partly compiled says so.
"""

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import jax

from wamjax.cli import config_file
from wamjax.cli.plan_text import GIB, big, seconds_text
from wamjax.core.progress import Progress
from wamjax.core.runtime import versions
from wamjax.eval.plan.apart import apart
from wamjax.eval.plan.cache import keep, key_of, known
from wamjax.eval.plan.case import Training, case_of_config, case_of_recipe
from wamjax.eval.plan.chips import CHIPS
from wamjax.eval.plan.report import Report, planned
from wamjax.eval.plan.smallest import BESIDE, TOKENS, Missed, Smallest, Spot, examples, smallest
from wamjax.eval.plan.store import libtpu
from wamjax.recipes.registry import RECIPES
from wamjax.train.run_config import RunConfig

FAMILIES = ("v5p", "v6e", "v5e", "tpu7x")
CLOUD = {
    "v5p": "v5p-{cores}",
    "v6e": "v6e-{chips}",
    "v5e": "v5litepod-{chips}",
    "tpu7x": "v7x-{cores}",
}
"""What a slice is rented as; tpu7x by its cores."""
COMMAND = "wamjax plan --table configs/oxe_*.py --page docs/results/plans.md"


@dataclasses.dataclass(frozen=True)
class Target:
    """A row: what is trained, and what its reports follow from.

    Attributes:
        kind: a recipe at full size, everything made anew in the backward pass; or a file of
            configs/, with its own policy.
        source: the recipe's name, or the file.
    """

    kind: Literal["recipe", "config"]
    source: str

    @functools.cached_property
    def config(self) -> RunConfig:
        """Of a file."""
        return config_file.load(self.source, [])

    @property
    def name(self) -> str:
        return self.source if self.kind == "recipe" else self.config.name

    @property
    def settings(self) -> dict[str, Any]:
        """As those of `wamjax plan`."""
        if self.kind == "recipe":
            return {"recipe": self.source, "form": None, "size": "full"}
        return {"config": dataclasses.asdict(self.config)}

    def make(self, rows: int) -> Training:
        """The case of so many examples a step."""
        if self.kind == "recipe":
            return case_of_recipe(RECIPES[self.source], rows)
        return case_of_config(self.config, rows)

    @functools.cached_property
    def one(self) -> Training:
        """The case of one example."""
        return self.make(1)

    @functools.cached_property
    def weights(self) -> int:
        """How many."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.one.boxed))

    def told(self, reports: Sequence[Report]) -> tuple[str, ...]:
        """Name, weights, tokens of an example, examples a device, FLOP of an example.

        FLOPs of a config are nowhere counted without its program: they are those of a report.
        """
        one = self.one
        walked = [report.flops["walked"] / report.rows for report in reports]
        flop = walked[0] if one.counted is None and walked else one.counted
        return (
            f"`{self.name}`",
            _count(self.weights),
            "" if one.tokens is None else f"{one.tokens:,}",
            str(examples(one.tokens)),
            "" if flop is None else big(flop, "FLOP"),
        )


def key_at(target: Target, spot: Spot) -> str:
    """The report's key: that of `wamjax plan --quick` with the flags that say the same."""
    settings = {**target.settings, "what": "train", "remat": None, "slice": spot.part.name}
    settings |= {"mesh": dataclasses.asdict(spot.mesh), "rows": spot.rows}
    return key_of({**settings, "analytic": False, "quick": True})


def make(target: Target, spot: Spot) -> None:
    """Compile it, and keep the report."""
    found = planned(target.make(spot.rows), spot.part, spot.mesh, quick=True)
    keep(key_at(target, spot), found)


def asked(target: Target, spot: Spot, *, compiler: bool) -> Report | None:
    """The report that is known, or made now.

    Raises:
        CompilerError: the compiler aborts on it.
    """
    if compiler and known(key_at(target, spot)) is None:
        apart(make, target, spot)
    return known(key_at(target, spot))


Table = dict[str, dict[str, Smallest]]


def table_page(
    configs: Sequence[str],
    families: Sequence[str],
    *,
    compiler: bool,
    page: pathlib.Path | None,
    estimate: bool = True,
) -> str:
    """The page, written behind every row where `page` says where.

    Rows are made by the length of their sequences: a program of many tokens compiles for minutes,
    and whoever cuts the table short has the others.
    """
    targets = [Target("config", path) for path in configs]
    targets += [Target("recipe", name) for name in RECIPES]
    table: Table = {family: {} for family in families}
    order = sorted(targets, key=lambda target: target.one.tokens or 0)
    with Progress("plan", len(families) * len(targets), "rows") as progress:
        for target, family in itertools.product(order, families):

            def ask(spot: Spot, target: Target = target) -> Report | None:
                return asked(target, spot, compiler=compiler)

            table[family][target.name] = smallest(
                target.make, CHIPS[family], ask, estimate=estimate
            )
            progress.advance(note=f"{target.name} on {family}")
            if page is not None:
                page.write_text(as_page(targets, table), encoding="utf-8")
    return as_page(targets, table)


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _count(number: int) -> str:
    return f"{number / 1e9:.2f} B" if number >= 1e9 else f"{number / 1e6:.0f} M"


def _below(missed: Missed | None) -> str:
    if missed is None:
        return "none is smaller"
    least = "at least " if missed.how == "counted" else ""
    how = "" if missed.how == "compiled" else f", {missed.how}"
    return f"{missed.slice.split(':')[1]}: {least}{missed.needed / GIB:.1f} GiB{how}"


def rented(report: Report) -> str:
    """The name under which a slice is rented."""
    family = report.slice.split(":")[0]
    return CLOUD[family].format(cores=2 * report.chips, chips=report.chips)


def slice_text(found: Smallest | None) -> str:
    """A cell of the first table."""
    if found is None:
        return ""
    if found.report is not None:
        return f"**{rented(found.report)}**, {found.report.chips}"
    if found.at_least is None:
        return "none"
    fault = " (libtpu aborts)" if found.fault else ""
    return f"{found.at_least.split(':')[1]} or larger{fault}"


def row_text(target: Target, report: Report, below: Missed | None) -> str:
    """A row of a family's table."""
    mesh = ", ".join(f"{axis} {n}" for axis, n in report.mesh.items() if n > 1) or "one device"
    memory = f"{report.memory['total'] / GIB:.1f} of {report.memory['limit'] / GIB:.1f}"
    low, high = report.mfu
    slow, fast = report.rates["windows"]
    return _cells(
        f"`{target.name}`",
        f"{report.slice.split(':')[1]} ({rented(report)})",
        mesh,
        f"{report.rows:,}",
        memory,
        " to ".join(seconds_text(report.seconds[end]) for end in ("best", "worst")),
        f"{100 * low:.0f} to {100 * high:.0f}",
        report.bound,
        f"{slow:.3g} to {fast:.3g}",
        _below(below),
    )


HEAD = (
    "| trained | smallest slice | mesh | examples a step | GiB a device | step, at least | MFU, % "
    "| bound by | windows a second and chip | the next smaller |",
    "|---" * 10 + "|",
)


def sizes(targets: Sequence[Target], table: Table) -> list[str]:
    """What is trained, and the smallest slice of each family."""
    lines = [
        "| trained | weights | tokens an example | examples a device | FLOP an example | "
        + " | ".join(FAMILIES)
        + " |",
        "|---" * (5 + len(FAMILIES)) + "|",
    ]
    for target in targets:
        found = [table.get(family, {}).get(target.name) for family in FAMILIES]
        reports = [row.report for row in found if row is not None and row.report is not None]
        lines.append(_cells(*target.told(reports), *map(slice_text, found)))
    return lines


def as_page(targets: Sequence[Target], table: Table) -> str:
    """All families, with what the figures mean."""
    found = versions()
    done = sum(row.report is not None for rows in table.values() for row in rows.values())
    lines = [
        "# The smallest slice that trains each recipe",
        "",
        f"<!-- Made by `{COMMAND}`; edit wamjax/cli/plan_table.py. -->",
        "",
        f"    {COMMAND}",
        "",
        f"Compiled on a CPU for slices that are not there (jax {found['jax']}, libtpu {libtpu()}): "
        f"{done} of {len(FAMILIES) * len(targets)} rows so far. A cell in bold names the slice and "
        'its chips. "Or larger" was not compiled yet, or the compiler aborts there: smaller slices '
        "are excluded by counting the state and a gradient, or by the compiler. The same command "
        "goes on.",
        "",
        *sizes(targets, table),
        "",
        "A slice fits when the whole train step does: float32 weights, their average and AdamW's "
        "two moments (16 bytes a weight, split over mesh axes `fsdp` and `tensor`), gradients, "
        "activations and program, with bfloat16 products and everything made anew in the backward "
        "pass (configs: as they say). Recipes are trained on values that their frozen encoders "
        f"have made. A device gets as many examples as make at most {TOKENS:,} tokens, at least "
        "one. Programs are compiled with little optimising (`--quick`), which finds the memory of "
        "the usual ones within a few percent; for tpu7x, whose compiler does not take kernels so, "
        "those with splash attention are compiled as usual.",
        "",
        "Nothing was run. A step takes at least the largest of what data sheets allow for "
        "products, memory and links (left), and their sum with products at 70 % of peak where "
        "nothing goes on beside anything (right). MFU counts the model's FLOPs alone. The last "
        "column says what the next smaller slice would need a device: as the compiler says, "
        '"counted" for state and gradient alone, or "estimated" for the state and '
        f"{BESIDE} bytes a weight, the least that a compiled program was seen to need, or for the "
        "state and what the same split took beside it on the slice before (`--confirm` compiles "
        "those, too).",
    ]
    for family, rows in table.items():
        chip = CHIPS[family]
        told = [
            row_text(target, report, rows[target.name].below)
            for target in targets
            if target.name in rows and (report := rows[target.name].report) is not None
        ]
        if told:
            lines += [
                "",
                f"## {family}",
                "",
                f"A chip: {chip.flops / 1e12:.0f} TFLOP/s, {chip.memory / GIB:.0f} GiB, "
                f"{chip.bandwidth / 1e12:.3g} TB/s, links of {chip.link / 1e9:.0f} GB/s each way"
                + (f"; {chip.devices} devices a chip." if chip.devices > 1 else "."),
                "",
                *HEAD,
                *told,
            ]
    return "\n".join(lines) + "\n"
