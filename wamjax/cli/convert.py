"""`wamjax convert`: public checkpoints to ours and back; runs to safetensors and back."""

import argparse
import functools
import importlib.metadata
import json
import pathlib
import sys
from typing import Any

from wamjax.core.errors import UserError
from wamjax.core.tree import count_parameters
from wamjax.core.typing import PyTree
from wamjax.pretrained.bijection import as_text, checked
from wamjax.pretrained.convert import REQUEST, convert, converted, export, write_config
from wamjax.pretrained.families import FAMILIES, family_of
from wamjax.pretrained.family import Family
from wamjax.pretrained.licences import LICENCES, accepted
from wamjax.pretrained.moves import by_tensor, expand
from wamjax.pretrained.opened import open_tensors
from wamjax.pretrained.orbax_write import export_tree
from wamjax.pretrained.originals import ORIGINALS, TOLERANCE, compared
from wamjax.pretrained.table import Table
from wamjax.pretrained.tensors import Tensors
from wamjax.pretrained.verify import check_sums, key_table, unequal

DTYPES = ("float32", "bfloat16", "float16")
# "openpi" and "lerobot" are also the layouts of their names.
FORMATS = {
    "safetensors": export,
    "openpi": export_tree,
    "lerobot": functools.partial(export, at_most=None),
}
RUN = "run"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.description = (
        "Public checkpoints to our tree, tensor by tensor, each used once; and back. Reads "
        "safetensors (also\nsharded), zip files of PyTorch (no pickle is run) and Orbax trees. The "
        "same command goes on where it\nwas ended."
    )
    parser.epilog = (
        "Examples:\n"
        "  wamjax convert --list\n"
        "  wamjax convert --from wan2.2-ti2v-5b Wan2.2-TI2V-5B-Diffusers/transformer --out wan\n"
        "  wamjax convert --from wan2.2-ti2v-5b CKPT --verify          check sums, key table and,\n"
        "                                              with torch, the original beside ours\n"
        "  wamjax convert --from wan2.2-ti2v-5b CKPT --verify --out wan     and what was made\n"
        "  wamjax convert --to safetensors wan --out back          under the names it came with\n"
        "  wamjax convert --to openpi pi0 --out back               Orbax's `params`, for openpi\n"
        "  wamjax convert --to lerobot pi0 --out back              a folder of LeRobot's\n"
        "  wamjax convert --to safetensors runs/a --out weights    the averaged weights of a run,\n"
        "                                                          with config and statistics\n"
        "  wamjax convert --to run weights --out runs/b            a run again, for eval and sample"
    )
    add = parser.add_argument
    add("source", nargs="?", metavar="SOURCE", help="of --to: a workdir, or what was written")
    add("--list", action="store_true", help="families with their licences")
    add("--from", dest="family", nargs=2, metavar=("FAMILY", "CKPT"), help="what to convert")
    add("--out", type=pathlib.Path, metavar="DIR", help="is made")
    add("--prefix", default="", metavar="P", help="of all names in CKPT, as 'state_dict.'")
    add("--dtype", choices=DTYPES, help="of floating numbers (as they are stored)")
    add("--to", choices=(*FORMATS, RUN), help="write SOURCE in this format")
    add("--layout", metavar="L", help="names to write, as 'original' (those it came with)")
    add("--verify", action="store_true", help="write nothing: check sums, key table, comparison")
    add("--no-original", action="store_true", help="of --verify: do not run the original network")
    add("--accept-licence", action="store_true", help="of weights that may not be for every use")
    add("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    chosen = [args.list, args.family is not None, args.to is not None]
    if sum(chosen) != 1:
        raise UserError("give one of --list, --from FAMILY CKPT and --to FORMAT SOURCE.")
    if args.no_original and not args.verify:
        raise UserError("--no-original leaves a part of --verify out: give both, or neither.")
    if args.list:
        told = _listed()
    elif args.to is not None:
        told = _exported(args)
    elif args.verify:
        told = _verified(args)
    else:
        told = _converted(args)
    print(json.dumps(told, indent=2) if args.json else _text(told))
    if told.get("differs") or told.get("unequal") or told.get("far"):
        raise UserError("the checkpoint is not what was expected; see above.")


def _text(told: dict[str, Any]) -> str:
    lines = []
    for key, value in told.items():
        if isinstance(value, list):
            lines += [f"{key}:", *(f"  {line}" for line in value)]
        else:
            lines.append(f"{key:<11} {value}")
    return "\n".join(lines)


def _listed() -> dict[str, Any]:
    width = max(map(len, FAMILIES))
    return {
        "families": [
            f"{name:<{width}}  {x.about}; names: {', '.join(x.layouts)}; {LICENCES[x.licence].name}"
            for name, x in FAMILIES.items()
        ],
        "licences": [
            f"{name:<13}  {x.name}{'' if x.commercial else ' (--accept-licence)'}  {x.page}"
            for name, x in LICENCES.items()
        ],
    }


def _opened(args: argparse.Namespace) -> tuple[Family, str, Tensors]:
    name, path = args.family
    family = family_of(name)
    tensors = open_tensors(path, args.prefix)
    return family, _layout(args, family) or family.layout_of(tensors.shapes), tensors


def _layout(args: argparse.Namespace, family: Family) -> str | None:
    if args.layout is not None and args.layout not in family.layouts:
        raise UserError(
            f"{family.name} has no layout {args.layout!r}; there are {', '.join(family.layouts)}."
        )
    return args.layout


def _out(args: argparse.Namespace) -> pathlib.Path:
    if args.out is None:
        raise UserError("say by --out DIR where to write.")
    return args.out


def _converted(args: argparse.Namespace) -> dict[str, Any]:
    out = _out(args)
    family, layout, tensors = _opened(args)
    licence = accepted(family.licence, args.accept_licence)
    request = {
        "family": family.name,
        "layout": layout,
        "prefix": args.prefix,
        "dtype": args.dtype,
        "licence": {"name": licence.name, "page": licence.page},
        "files": {file.name: file.stat().st_size for file in tensors.files},
    }
    target = family.target()
    convert(tensors, family.layouts[layout](), target, out, request, dtype=args.dtype)
    told = {
        "converted": f"{family.name} ({layout} names)",
        "weights": f"{count_parameters(target):,}",
        "licence": f"{licence.name}, {licence.page}",
        "out": str(out),
    }
    # As statistics, beside the model of a folder.
    others = {*pathlib.Path(args.family[1]).glob("*.safetensors")} - {*tensors.files}
    if others:
        told["not read"] = ", ".join(sorted(file.name for file in others))
    return told


def _verified(args: argparse.Namespace) -> dict[str, Any]:
    family, layout, tensors = _opened(args)
    table, target = family.layouts[layout](), family.target()
    lines, rows = key_table(table, target, tensors.shapes)
    sums = check_sums(tensors.files)
    told: dict[str, Any] = {
        "family": f"{family.name} ({layout} names)",
        "licence": LICENCES[family.licence].name,
        "files": [f"{x['sha256']}  {x['bytes']}  {name}" for name, x in sums.items()],
        "names": lines,
    }
    if rows:
        return {**told, "differs": as_text(rows).splitlines()}
    moves = by_tensor(checked(table, target, tensors.shapes))
    told["verdict"] = f"all {len(moves)} tensors are used once"
    if args.out is not None:
        wrong = unequal(tensors, table, converted(args.out)[1])
        told["verdict"] += f"; {len(wrong)} of them differ in {args.out}"
        if wrong:
            told["unequal"] = wrong
    if not args.no_original:
        told |= _beside_the_original(family, tensors, table, target)
    return told


def _beside_the_original(
    family: Family, tensors: Tensors, table: Table, target: PyTree
) -> dict[str, Any]:
    """What the published implementation and ours make of the same weights and input."""
    original = ORIGINALS.get(family.name)
    if original is None:
        return {"original": "not run: it is of no package that installs beside wamjax"}
    try:
        found = compared(original, tensors, table, target)
    except UserError as error:
        return {"original": f"not run: {error}"}
    module = original.module
    version = importlib.metadata.version(module.package)
    apart = [
        f"{part}: {x:.1e} of the output's root mean square at most" for part, x in found.items()
    ]
    # NaN is not within anything.
    within = all(x <= TOLERANCE for x in found.values())
    told = {
        "original": f"{module.kind} of {module.package} {version}, beside ours in float32",
        "apart": apart,
        "equal": f"{'yes' if within else 'no'}, {TOLERANCE:.0e} is allowed",
    }
    return told if within else told | {"far": [*found]}


def _exported(args: argparse.Namespace) -> dict[str, Any]:
    if args.source is None:
        raise UserError("say which workdir or converted folder to write.")
    out, source = _out(args), pathlib.Path(args.source)
    if args.to != RUN and (source / REQUEST).exists():
        return _under_their_names(args, source, out)
    if args.layout is not None:
        raise UserError("a trained run has our names only; leave --layout out.")
    # Half a gigabyte of modules that conversions do not need.
    from wamjax.train.checkpoint import FOLDER
    from wamjax.train.exported import export_run, import_run

    if args.to == RUN:
        step = import_run(source, out, lambda line: print(line, file=sys.stderr))
        return {"run": f"{out}, step {step}", "from": str(source)}
    if args.to != "safetensors":
        raise UserError(f"only what was converted from openpi or LeRobot is written for {args.to}.")
    if not (source / FOLDER).is_dir():
        raise UserError(f"{source} is neither a workdir with checkpoints nor what was converted.")
    step, tensors = export_run(source, out)
    return {"exported": f"{source}, step {step}", "tensors": tensors, "out": str(out)}


def _under_their_names(
    args: argparse.Namespace, source: pathlib.Path, out: pathlib.Path
) -> dict[str, Any]:
    had, leaves = converted(source)
    if "family" not in had:
        raise UserError(f"{source} was not converted from a family.")
    family = family_of(had["family"])
    layout = _layout(args, family) or (had["layout"] if args.to == "safetensors" else args.to)
    if args.to not in ("safetensors", layout) or layout not in family.layouts:
        raise UserError(f"{family.name} has no names for {args.to}: write it --to safetensors.")
    table = family.layouts[layout]()
    request = {"exported": {**had, "layout": layout, "format": args.to}}
    FORMATS[args.to](leaves, table, out, request)
    told = {
        "exported": f"{source} ({family.name}, {layout} names)",
        "tensors": len(by_tensor(expand(table))) + len(table.idle),
        "out": str(out),
    }
    if args.to not in family.beside:
        return told
    beside = family.beside[args.to]
    write_config(out, beside.config(leaves.shapes))
    return told | {"unknown": beside.unknown}
