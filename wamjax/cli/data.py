"""`wamjax data {inspect,stats} DIR`: what is in a data set."""

import argparse
import json
import pathlib
from typing import Any

from wamjax.core.errors import UserError
from wamjax.data.config import DataConfig
from wamjax.data.contact_sheet import contact_sheet
from wamjax.data.inspect import report, report_text
from wamjax.data.statistics import compute_statistics


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = "Example:\n  wamjax data inspect DIR --sheet sheet.png"
    does = parser.add_subparsers(dest="does", metavar="{inspect,stats}", required=True)
    look = does.add_parser("inspect", help="schema, counts, suspicious things, a contact sheet")
    look.add_argument("dir", help="an RLDS or LeRobot directory, or a folder of videos")
    look.add_argument("--sheet", type=pathlib.Path, help="default: NAME-contact-sheet.png")
    look.add_argument("--json", action="store_true", help="print JSON")
    stats = does.add_parser("stats", help="mean, spread and quantiles of actions and proprio")
    stats.add_argument("dir", help="an RLDS or LeRobot directory, or a folder of videos")
    stats.add_argument("--action-key", default="action", help="default: action")
    stats.add_argument("--proprio-key", default="state", help="default: state")
    stats.add_argument("--camera", required=True, help="an image key, for example image_0")
    stats.add_argument("--json", action="store_true", help="print JSON")
    for sub in (look, stats):
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")


def inspect(args: argparse.Namespace) -> None:
    """Print the report; write the contact sheet if asked for."""
    found = report(args.dir)
    print(json.dumps(found, indent=2) if args.json else report_text(found))
    sheet = args.sheet or pathlib.Path(f"{found['name']}-contact-sheet.png")
    contact_sheet(args.dir, sheet)
    if not args.json:
        print(f"contact sheet: {sheet}")


def stats(args: argparse.Namespace) -> None:
    """Print statistics of all episodes."""
    config = DataConfig(
        dir=args.dir,
        cameras=(args.camera,),
        action_key=args.action_key,
        proprio_key=args.proprio_key,
        part="all",
        holdout=0.0,
    )
    value: dict[str, Any] = compute_statistics(config).to_json()
    if args.json:
        print(json.dumps(value, indent=2))
        return
    print(f"{value['episodes']} episodes, {value['steps']} steps")
    for stream in ("action", "proprio"):
        print(f"{stream:<8} {'mean':>9} {'std':>9} {'min':>9} {'q01':>9} {'q99':>9} {'max':>9}")
        table = value[stream]
        for dim in range(len(table["mean"])):
            row = (table[name][dim] for name in ("mean", "std", "min", "q01", "q99", "max"))
            print(f"  [{dim}]    " + " ".join(f"{number:9.4f}" for number in row))


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    match args.does:
        case "inspect":
            inspect(args)
        case "stats":
            stats(args)
        case other:
            raise UserError(f"{other} is not something to do with data; use inspect or stats.")
