"""`wamjax plan --table`: the smallest slice of each family for every full-size recipe, as a page.

Every program that is compiled is kept, so a table that was cut short goes on where it was, and one
that is only partly compiled says so. Rows are kept beside the page: another machine goes on.
"""

import pathlib
from collections.abc import Sequence

from wamjax.cli.plan_rows import Target, found_of
from wamjax.cli.plan_text import GIB, big, seconds_text
from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.eval.plan.chips import CHIPS
from wamjax.eval.plan.rows import Found, Row, read_rows, write_rows
from wamjax.eval.plan.smallest import BESIDE, ROUGH, TOKENS, Missed, examples
from wamjax.recipes.registry import RECIPES

FAMILIES = ("v5p", "v6e", "v5e", "tpu7x")
CLOUD = {
    "v5p": "v5p-{cores}",
    "v6e": "v6e-{chips}",
    "v5e": "v5litepod-{chips}",
    "tpu7x": "v7x-{cores}",
}
"""What a slice is rented as; tpu7x by its cores."""
COMMAND = "wamjax plan --table configs/oxe_*.py --page docs/results/plans.md"

Table = dict[str, dict[str, Found]]
"""Family -> name -> what was found."""


def table_page(
    configs: Sequence[str],
    families: Sequence[str],
    *,
    compiler: bool,
    page: pathlib.Path | None,
    estimate: bool = True,
    only: Sequence[str] | None = None,
    fresh: bool = False,
) -> str:
    """The page, written behind every row where `page` says where, with its rows beside it (.json).

    Rows are made by the length of their sequences: a program of many tokens compiles for minutes,
    and whoever cuts the table short has the others.

    Args:
        configs: files of configs/ that have a row each, before the recipes.
        families: of chips, whose rows are made.
        compiler: compile what is not known.
        page: where.
        estimate: see `smallest`.
        only: make these rows alone; the others, as those of other families, are shown where they
            are known.
        fresh: compile what is made, known or not.

    Raises:
        UserError: `only` has a name without a row, or the file of rows is something else.
    """
    targets = [Target("config", path) for path in configs]
    targets += [Target("recipe", name) for name in RECIPES]
    names = [target.name for target in targets]
    for name in only or ():
        if name not in names:
            raise UserError(f"--only {name!r} has no row: choose from {', '.join(names)}.")
    file = None if page is None else page.with_suffix(".json")
    kept = {} if file is None else read_rows(file)
    table: Table = {family: {} for family in FAMILIES}
    missing: list[tuple[Target, str]] = []
    for target in sorted(targets, key=lambda target: target.one.tokens or 0):
        for family in FAMILIES:
            chosen = family in families and (only is None or target.name in only)
            row = kept.get((target.name, family))
            if row is not None and row.shapes == target.shapes and not (fresh and chosen):
                table[family][target.name] = row
            elif chosen:
                missing.append((target, family))
    with Progress("plan", len(missing), "rows") as progress:
        for target, family in missing:
            table[family][target.name] = found_of(
                target, family, compiler=compiler, estimate=estimate, fresh=fresh
            )
            progress.advance(note=f"{target.name} on {family}")
            if page is not None and file is not None:
                save(targets, table, page, file)
    if page is not None and file is not None:
        save(targets, table, page, file)
    return as_page(targets, table)


def save(targets: Sequence[Target], table: Table, page: pathlib.Path, file: pathlib.Path) -> None:
    """The page and its rows; those of what is not in this table stay."""
    kept = read_rows(file) | {row.key: row for row in rows_of(table)}
    stale = {
        (target.name, family)
        for target in targets
        for family in table
        if (row := kept.get((target.name, family))) is not None and row.shapes != target.shapes
    }
    write_rows(file, [row for key, row in sorted(kept.items()) if key not in stale])
    page.write_text(as_page(targets, table), encoding="utf-8")


def rows_of(table: Table) -> list[Row]:
    """Those that were compiled."""
    found = [row for rows in table.values() for row in rows.values()]
    return [row for row in found if isinstance(row, Row)]


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


def rented(row: Row) -> str:
    """The name under which a slice is rented."""
    return CLOUD[row.family].format(cores=2 * row.chips, chips=row.chips)


def slice_text(found: Found | None) -> str:
    """A cell of the first table."""
    if found is None:
        return ""
    if isinstance(found, Row):
        return f"**{rented(found)}**, {found.chips}"
    if found.at_least is None:
        return "none"
    fault = " (libtpu aborts)" if found.fault else ""
    return f"{found.at_least.split(':')[1]} or larger{fault}"


def row_text(row: Row) -> str:
    """A row of a family's table."""
    mesh = ", ".join(f"{axis} {n}" for axis, n in row.mesh.items() if n > 1) or "one device"
    return _cells(
        f"`{row.trained}`",
        f"{row.slice.split(':')[1]} ({rented(row)})",
        mesh,
        f"{row.rows:,}",
        f"{row.memory / GIB:.1f} of {row.limit / GIB:.1f}",
        " to ".join(seconds_text(seconds) for seconds in row.seconds),
        " to ".join(f"{100 * share:.0f}" for share in row.mfu),
        row.bound,
        " to ".join(f"{rate:.3g}" for rate in row.windows),
        _below(row.below),
    )


HEAD = (
    "| trained | smallest slice | mesh | examples a step | GiB a device | step, at least | MFU, % "
    "| bound by | windows a second and chip | the next smaller |",
    "|---" * 10 + "|",
)


def told(target: Target, rows: Sequence[Row]) -> tuple[str, ...]:
    """Name, weights, tokens of an example, examples a device, FLOP of an example.

    FLOPs of a config are nowhere counted without its program: they are those of a row.
    """
    one = target.one
    flop = rows[0].flop if one.counted is None and rows else one.counted
    return (
        f"`{target.name}`",
        _count(target.weights),
        "" if one.tokens is None else f"{one.tokens:,}",
        str(examples(one.tokens)),
        "" if flop is None else big(flop, "FLOP"),
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
        rows = [row for row in found if isinstance(row, Row)]
        lines.append(_cells(*told(target, rows), *map(slice_text, found)))
    return lines


def as_page(targets: Sequence[Target], table: Table) -> str:
    """All families, with what the figures mean."""
    rows = rows_of(table)
    compilers = sorted({f"jax {row.jax}, libtpu {row.libtpu}" for row in rows})
    made_by = "; ".join(compilers) or "nothing yet"
    lines = [
        "# The smallest slice that trains each recipe",
        "",
        f"<!-- Made by `{COMMAND}`; edit wamjax/cli/plan_table.py. -->",
        "",
        f"    {COMMAND}",
        "",
        f"Compiled on a CPU for slices that are not there ({made_by}): {len(rows)} of "
        f"{len(FAMILIES) * len(targets)} rows. A cell in bold names the slice and its chips. "
        '"Or larger" was not compiled yet, or the compiler aborts there: smaller slices are '
        "excluded by counting the state and a gradient, or by the compiler. The same command "
        "compiles what is missing, and what has other shapes than when it was compiled.",
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
        "column says what the next smaller slice would need a device: as the compiler says (which "
        "keeps a little of a device's memory to itself), "
        '"counted" for state and gradient alone, or "estimated" for the state and '
        f"{BESIDE} bytes a weight, the least that a compiled program was seen to need, or for the "
        "state and what the same split took beside it on the slice before. An estimate excludes a "
        f"slice where it is more than {100 * (ROUGH - 1):.0f} % too much (`--confirm` compiles "
        "those, too).",
    ]
    for family, found in table.items():
        chip = CHIPS[family]
        lines_of = [
            row_text(row) for target in targets if isinstance(row := found.get(target.name), Row)
        ]
        if lines_of:
            lines += [
                "",
                f"## {family}",
                "",
                f"A chip: {chip.flops / 1e12:.0f} TFLOP/s, {chip.memory / GIB:.0f} GiB, "
                f"{chip.bandwidth / 1e12:.3g} TB/s, links of {chip.link / 1e9:.0f} GB/s each way"
                + (f"; {chip.devices} devices a chip." if chip.devices > 1 else "."),
                "",
                *HEAD,
                *lines_of,
            ]
    return "\n".join(lines) + "\n"
