"""`wamjax data prepare`: any data set to a store, see `wamjax.data.files.store_format`."""

import argparse
import json
import pathlib
from typing import get_args

from wamjax.core.errors import UserError
from wamjax.data.files.images import Format
from wamjax.data.files.paths import location
from wamjax.data.sources.store import read_table
from wamjax.data.writing.plan import Beam, Making
from wamjax.data.writing.recoding import Form
from wamjax.data.writing.store import make_store

AS_RECORDED = "recorded"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "Convert RLDS, LeRobot, videos or a store to a store: images of the size that is trained "
        "on,\none record a step; numbers as they were recorded. The same command goes on where it "
        "was\ninterrupted."
    )
    parser.epilog = (
        "Example:\n  wamjax data prepare --card data/cards/bridge_orig.toml --from DIR --out STORE "
        "--size 128 --workers 8\n"
        "On Dataflow: launch/dataflow_prepare.sh"
    )
    add = parser.add_argument
    add("--from", dest="source", required=True, metavar="DIR", help="the data set")
    add("--out", required=True, metavar="STORE", help="is made, on a disk")
    add("--split", metavar="S", help="default: all of them")
    add("--card", metavar="FILE", help="hold the data to it, and keep its cameras only")
    add("--size", default=AS_RECORDED, metavar="N", help="side in pixels; default: recorded")
    add("--format", choices=get_args(Format), default="jpeg", help="of new images (jpeg)")
    add("--quality", type=int, default=95, metavar="Q", help="of new JPEGs (95)")
    add("--workers", type=int, default=1, metavar="N", help="processes (1)")
    add("--beam", action="store_true", help="let an Apache Beam pipeline make the shards")
    add(
        "--beam-option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of the pipeline, as Beam names it (runner=DataflowRunner); as often as needed",
    )
    add("--beam-exchange", metavar="URL", help="where workers without this disk leave shards")
    add("--shard-steps", type=int, default=20_000, metavar="N", help="steps a shard, about (20000)")
    add("--bad-budget", type=float, default=0.0, metavar="F", help="fraction that may be bad (0)")
    add("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Make the store and say what is in it."""
    making = Making(
        directory=args.source,
        out=_disk(args.out),
        split=args.split,
        card=args.card,
        images=Form(size=_size(args.size), format=args.format, quality=args.quality),
        shard_steps=args.shard_steps,
        workers=args.workers,
        beam=_beam(args),
        bad_budget=args.bad_budget,
    )
    try:
        out = make_store(making)
    except OSError as error:
        raise UserError(
            f"{error.filename or args.out} cannot be read or written ({error.strerror or error}): "
            "see to it, then start again; what is finished is kept."
        ) from error
    table = read_table(out)
    told = {
        split: {
            "episodes": own["episodes"],
            "steps": own["steps"],
            "skipped": own["promised"] - own["episodes"],
            "bad_images": len(own["bad_images"]),
            "shards": len(own["shards"]),
            "bytes": sum(size for size, _ in own["files"].values()),
        }
        for split, own in table["splits"].items()
    }
    if args.json:
        print(json.dumps({"store": str(out), "splits": told}, indent=2))
        return
    for split, own in told.items():
        print(
            f"split {split}: {own['episodes']} episodes, {own['steps']} steps, "
            f"{own['bytes'] / 1e6:.1f} MB in {own['shards']} shards; {own['skipped']} episodes "
            f"skipped, {own['bad_images']} images bad"
        )
    print(f"store: {out}")


def _beam(args: argparse.Namespace) -> Beam | None:
    if args.beam:
        return Beam(tuple(args.beam_option), args.beam_exchange)
    if args.beam_option or args.beam_exchange:
        raise UserError("--beam-option and --beam-exchange are for --beam: give that, too.")
    return None


def _disk(text: str) -> pathlib.Path:
    place = location(text)
    if not isinstance(place, pathlib.Path):
        raise UserError(
            f"--out {place} is no place on a disk: make the store on a disk, then copy it there, "
            "where it can be read."
        )
    return place


def _size(text: str) -> int | None:
    if text == AS_RECORDED:
        return None
    if not text.isdecimal():
        raise UserError(f"--size must be pixels or {AS_RECORDED}, got {text!r}.")
    return int(text)
