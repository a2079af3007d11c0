"""`wamjax plan`: does a run fit a slice that is not here, and how fast could it be."""

import argparse
import dataclasses
import json
from typing import Any, get_args

from wamjax.cli import config_file
from wamjax.cli.plan_text import as_text, choices_text
from wamjax.cli.recipes import built
from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.eval.plan.cache import keep, key_of, known
from wamjax.eval.plan.case import Case, case_of_config, case_of_recipe
from wamjax.eval.plan.chips import Slice, slice_of
from wamjax.eval.plan.report import Report, planned
from wamjax.eval.plan.search import Choice, choices, searched
from wamjax.model.config import Remat
from wamjax.parallel.mesh import MeshConfig
from wamjax.recipes.registry import find_recipe
from wamjax.train.run_config import RunConfig


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Needs no TPU: libtpu compiles the step on a CPU (pip install 'wamjax[tpu-plan]').\n"
        "Slices: v5p:4x4x8, v5p-256, v5litepod-256, v6e-64, ironwood-128.\n\nExamples:\n"
        "  wamjax plan --recipe fast_wam --topology v5p:2x2x2 --batch 64\n"
        "  wamjax plan --config configs/quickstart.py --topology v5litepod-8 "
        "--config.mesh.fsdp=8\n"
        "  wamjax plan --recipe dreamzero --topology v5p-256 --search --limit 6"
    )
    parser.add_argument("--config", metavar="FILE[:WHICH]", help="a file of configs/")
    parser.add_argument("--recipe", help="a name of `wamjax recipes`, trained on encoded values")
    parser.add_argument("--form", help="which form of the recipe (default: the usual one)")
    parser.add_argument("--size", choices=["tiny", "full"], default="full", help="default full")
    parser.add_argument("--topology", required=True, metavar="SLICE", help="for example v5p:4x4x8")
    parser.add_argument("--slices", type=int, default=1, help="so many of them (default 1)")
    parser.add_argument("--batch", type=int, help="examples a step (default: one a device)")
    parser.add_argument("--tensor", type=int, default=1, help="mesh axis `tensor` (default 1)")
    parser.add_argument("--sequence", type=int, default=1, help="mesh axis `sequence` (default 1)")
    parser.add_argument(
        "--remat",
        choices=get_args(Remat),
        default="full",
        help="what a recipe's backward pass makes anew (default full)",
    )
    parser.add_argument("--search", action="store_true", help="the best of a grid of meshes")
    parser.add_argument("--limit", type=int, help="compile at most so many while searching")
    parser.add_argument(
        "--analytic", action="store_true", help="count, but do not compile: no libtpu is needed"
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

    def case(self, rows: int, remat: str) -> Case:
        """The case with another batch or policy."""
        if self.config is not None:
            return case_of_config(self.config, rows)
        policy: Any = remat
        recipe, args = find_recipe(self.args.recipe), self.args
        return case_of_recipe(recipe, rows, form=args.form, size=args.size, remat=policy)


def asked(args: argparse.Namespace) -> Asked:
    """The flags, checked.

    Raises:
        UserError: none or both of a config and a recipe, or a number out of range.
    """
    if (args.config is None) == (args.recipe is None):
        raise UserError("wamjax plan needs either --config FILE or --recipe NAME.")
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
    config = None
    if args.config is not None:
        config = config_file.load(args.config, args.overrides)
        mesh = dataclasses.replace(config.mesh, across_data=args.slices)
        rows = config.train.batch if args.batch is None else args.batch
        settings: dict[str, Any] = {"config": dataclasses.asdict(config)}
    else:
        if args.overrides:
            raise UserError(f"{args.overrides[0].split('=')[0]} needs --config.")
        built(find_recipe(args.recipe), args.size, args.form)
        devices = part.devices // part.count
        if devices % (args.tensor * args.sequence):
            raise UserError(
                f"--tensor {args.tensor} x --sequence {args.sequence} does not divide the "
                f"{devices} devices of a slice."
            )
        mesh = MeshConfig(
            data=1,
            fsdp=devices // (args.tensor * args.sequence),
            tensor=args.tensor,
            sequence=args.sequence,
            across_data=part.count,
        )
        rows = mesh.fsdp * part.count if args.batch is None else args.batch
        settings = {"recipe": args.recipe, "form": args.form, "size": args.size}
        settings["remat"] = args.remat
    settings |= {"slice": part.name, "mesh": dataclasses.asdict(mesh), "rows": rows}
    return Asked(part, mesh, rows, settings, config, args)


def report_of(wanted: Asked) -> Report:
    """The report, compiled or known."""
    args = wanted.args
    key = key_of({**wanted.settings, "analytic": args.analytic})
    found = None if args.fresh else known(key)
    if found is None:
        case = wanted.case(wanted.rows, args.remat)
        with Progress("plan", 1, "programs") as progress:
            found = planned(case, wanted.part, wanted.mesh, compiler=not args.analytic)
            progress.advance()
        keep(key, found)
    return found


def search(wanted: Asked) -> list[tuple[Choice, Report]]:
    """The plans of the grid that fit, best first.

    Raises:
        UserError: none does.
    """
    count = sum(1 for _ in choices(wanted.part))
    with Progress("plan", count, "plans") as progress:
        found = searched(
            wanted.case,
            wanted.part,
            limit=wanted.args.limit,
            told=lambda choice, report: progress.advance(
                note="" if report is None else f"fsdp {choice.mesh.fsdp}, {choice.remat}"
            ),
        )
    if not found:
        raise UserError(f"no plan of the grid fits {wanted.part.name}: take a larger slice.")
    return found


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    wanted = asked(args)
    if args.search:
        found = search(wanted)
        rows = [dataclasses.asdict(report) for _, report in found]
        print(json.dumps(rows, indent=2) if args.json else choices_text(found))
        return
    report = report_of(wanted)
    print(json.dumps(dataclasses.asdict(report), indent=2) if args.json else as_text(report))
