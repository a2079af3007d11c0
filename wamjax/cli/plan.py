"""`wamjax plan`: does a run fit a slice that is not here, and how fast could it be."""

import argparse
import dataclasses
import json
import pathlib
import sys
from typing import Any, get_args

from wamjax.cli import config_file
from wamjax.cli.plan_table import FAMILIES, table_page
from wamjax.cli.plan_text import as_text, choices_text
from wamjax.cli.recipes import built
from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.eval.plan.cache import keep, key_of, known
from wamjax.eval.plan.case import Case, case_of_config, case_of_recipe
from wamjax.eval.plan.chips import Slice, slice_of
from wamjax.eval.plan.report import Report, planned
from wamjax.eval.plan.sampling import sampling_of_config, sampling_of_recipe
from wamjax.eval.plan.search import REMATS, Choice, choices, searched
from wamjax.model.config import Remat
from wamjax.parallel.mesh import MeshConfig, mesh_lengths
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.registry import find_recipe
from wamjax.train.run_config import RunConfig
from wamjax.train.warm_start import warm_start


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Needs no TPU: libtpu compiles the step on a CPU (pip install 'wamjax[tpu-plan]').\n"
        "Slices: v5p:4x4x8, v5p-256, v5litepod-256, v6e-64, ironwood-128.\n\nExamples:\n"
        "  wamjax plan --recipe fast_wam --topology v5p:2x2x2 --batch 64\n"
        "  wamjax plan --recipe fast_wam --topology v6e-4 --what sample --tensor 4 --batch 1\n"
        "  wamjax plan --config configs/quickstart.py --topology v5litepod-8 "
        "--config.mesh.fsdp=8\n"
        "  wamjax plan --recipe dreamzero --topology v5p-256 --search --limit 6"
    )
    parser.add_argument("--config", metavar="FILE[:WHICH]", help="a file of configs/")
    parser.add_argument("--recipe", help="a name of `wamjax recipes`, trained on encoded values")
    parser.add_argument("--form", help="which form of the recipe (default: the usual one)")
    parser.add_argument("--size", choices=["tiny", "full"], default="full", help="default full")
    parser.add_argument("--topology", metavar="SLICE", help="for example v5p:4x4x8")
    parser.add_argument("--slices", type=int, default=1, help="so many of them (default 1)")
    parser.add_argument(
        "--what",
        choices=["train", "sample"],
        default="train",
        help="a train step, or a policy's action chunk (default train)",
    )
    parser.add_argument(
        "--batch",
        type=int,
        help="examples a step, or chunks at once (default: one a device; of a config its own)",
    )
    parser.add_argument("--tensor", type=int, help="mesh axis `tensor` of a recipe (default 1)")
    parser.add_argument("--sequence", type=int, help="mesh axis `sequence` of a recipe (default 1)")
    parser.add_argument(
        "--remat",
        choices=get_args(Remat),
        help="what the backward pass makes anew (default: full; of a config its own)",
    )
    parser.add_argument("--search", action="store_true", help="the best of a grid of meshes")
    parser.add_argument("--limit", type=int, help="compile at most so many while searching")
    parser.add_argument(
        "--analytic", action="store_true", help="count, but do not compile: no libtpu is needed"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="compile with little optimising: several times sooner, memory within a few percent",
    )
    parser.add_argument(
        "--table",
        nargs="*",
        metavar="CONFIG",
        help="the smallest slice for every full-size recipe, and for these files of configs/",
    )
    parser.add_argument(
        "--families",
        default=",".join(FAMILIES),
        help=f"of --table: make the rows of these (default {','.join(FAMILIES)})",
    )
    parser.add_argument(
        "--confirm",
        action="store_true",
        help="of --table: also compile for slices that only an estimate excludes",
    )
    parser.add_argument(
        "--only",
        metavar="NAME,...",
        help="of --table: make these rows; the others are shown where they are known",
    )
    parser.add_argument(
        "--page",
        type=pathlib.Path,
        metavar="FILE",
        help="write the table there, row by row, and its rows beside it (.json), to go on from",
    )
    parser.add_argument("--fresh", action="store_true", help="compile again what is known")
    parser.add_argument("--json", action="store_true", help="print JSON")


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the flags say: how to make the case, on which mesh, and what it follows from."""

    part: Slice
    mesh: MeshConfig
    rows: int
    settings: dict[str, Any]
    config: RunConfig | None
    args: argparse.Namespace

    def case(self, rows: int, remat: Remat | None) -> Case:
        """The case with another batch or policy."""
        args = self.args
        if args.what == "sample" and self.config is not None:
            return sampling_of_config(self.config, rows)
        if self.config is not None:
            return case_of_config(self.config, rows, remat)
        recipe, given = find_recipe(args.recipe), {"form": args.form, "size": args.size}
        if args.what == "sample":
            return sampling_of_recipe(recipe, rows, **given)
        return case_of_recipe(recipe, rows, **given, remat=remat or "full")

    @property
    def remats(self) -> tuple[Remat, ...]:
        """What a search may try: only what makes a difference."""
        if self.args.remat is not None:
            return (self.args.remat,)
        own = self.config is not None and not isinstance(self.config.system, SystemConfig)
        return ("none",) if own or self.args.what == "sample" else REMATS


def asked(args: argparse.Namespace) -> Asked:
    """The flags, checked.

    Raises:
        UserError: none or both of a config and a recipe, or a number out of range.
    """
    if (args.config is None) == (args.recipe is None):
        raise UserError("wamjax plan needs either --config FILE or --recipe NAME.")
    if args.topology is None:
        raise UserError("wamjax plan needs --topology SLICE, for example v5p:4x4x8.")
    part = slice_of(args.topology, args.slices)
    if not part.chip.axes and not args.analytic:
        raise UserError(
            f"a program for {part.name} is compiled where there is one: "
            "count alone with --analytic."
        )
    for name in ("batch", "tensor", "sequence", "limit"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} must be at least 1, got {value}.")
    if args.what == "sample" and args.remat is not None:
        raise UserError(
            "--remat is of the backward pass, and --what sample has none: leave it out."
        )
    config = None
    if args.config is not None:
        for name in ("tensor", "sequence"):
            if getattr(args, name) is not None:
                raise UserError(f"--{name} is a recipe's: set --config.mesh.{name} of a config.")
        config = config_file.load(args.config, args.overrides)
        mesh = dataclasses.replace(config.mesh, across_data=args.slices)
        rows = config.train.batch if args.batch is None else args.batch
        if args.what == "sample" and args.batch is None:
            lengths = mesh_lengths(mesh, part.devices, part.count)
            rows = lengths[0] * lengths[1] * part.count
        settings: dict[str, Any] = {"config": dataclasses.asdict(config)}
    else:
        if args.overrides:
            raise UserError(f"{args.overrides[0].split('=')[0]} needs --config.")
        built(find_recipe(args.recipe), args.size, args.form)
        devices = part.devices // part.count
        tensor, sequence = args.tensor or 1, args.sequence or 1
        if devices % (tensor * sequence):
            raise UserError(
                f"--tensor {tensor} x --sequence {sequence} does not divide the {devices} devices "
                "of a slice."
            )
        mesh = MeshConfig(
            data=1,
            fsdp=devices // (tensor * sequence),
            tensor=tensor,
            sequence=sequence,
            across_data=part.count,
        )
        rows = mesh.fsdp * part.count if args.batch is None else args.batch
        settings = {"recipe": args.recipe, "form": args.form, "size": args.size}
    settings |= {"what": args.what, "remat": args.remat, "slice": part.name}
    settings |= {"mesh": dataclasses.asdict(mesh), "rows": rows}
    return Asked(part, mesh, rows, settings, config, args)


def report_of(wanted: Asked) -> Report:
    """The report, compiled or known."""
    args = wanted.args
    key = key_of({**wanted.settings, "analytic": args.analytic, "quick": args.quick})
    found = None if args.fresh else known(key)
    if found is None:
        case = wanted.case(wanted.rows, args.remat)
        with Progress("plan", 1, "programs") as progress:
            found = planned(
                case, wanted.part, wanted.mesh, compiler=not args.analytic, quick=args.quick
            )
            progress.advance()
        keep(key, found)
    return found


def check_start(wanted: Asked) -> None:
    """Match the weights of `train.start` by their headers, and tell it: a run would begin so.

    Raises:
        UserError: as `wamjax train` does, see `warm_start`.
    """
    if wanted.config is None or wanted.config.train.start is None:
        return
    start = warm_start(wanted.config.train, case_of_config(wanted.config).boxed)
    if start is not None:
        print(start.told(), file=sys.stderr)


def search(wanted: Asked) -> list[tuple[Choice, Report]]:
    """The plans of the grid that fit, best first.

    Raises:
        UserError: none does.
    """
    count = sum(1 for _ in choices(wanted.part, wanted.remats))
    with Progress("plan", count, "plans") as progress:
        found = searched(
            wanted.case,
            wanted.part,
            remats=wanted.remats,
            limit=wanted.args.limit,
            told=lambda choice, report: progress.advance(
                note="" if report is None else f"fsdp {choice.mesh.fsdp}, {choice.remat}"
            ),
        )
    if not found:
        raise UserError(f"no plan of the grid fits {wanted.part.name}: take a larger slice.")
    return found


def table(args: argparse.Namespace) -> None:
    """The table of all recipes.

    Raises:
        UserError: a flag that has no meaning here, or a family that is not known.
    """
    for name in ("config", "recipe", "form", "topology", "batch", "tensor", "sequence", "remat"):
        if getattr(args, name) is not None:
            raise UserError(f"--{name} has no meaning beside --table, which chooses it.")
    families = args.families.split(",")
    for family in families:
        if family not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise UserError(f"--families {family!r} is not known: choose from {known}.")
    if args.page is not None and not args.page.absolute().parent.is_dir():
        raise UserError(f"--page: the directory of {args.page} does not exist.")
    text = table_page(
        args.table,
        families,
        compiler=not args.analytic,
        page=args.page,
        estimate=not args.confirm,
        only=None if args.only is None else args.only.split(","),
        fresh=args.fresh,
    )
    if args.page is None:
        print(text)


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    if args.table is not None:
        table(args)
        return
    wanted = asked(args)
    check_start(wanted)
    if args.search:
        found = search(wanted)
        rows = [dataclasses.asdict(report) for _, report in found]
        print(json.dumps(rows, indent=2) if args.json else choices_text(found))
        return
    report = report_of(wanted)
    print(json.dumps(dataclasses.asdict(report), indent=2) if args.json else as_text(report))
