"""`wamjax data {inspect,prepare,encode,stats,look}`: what is in a data set; prepare it."""

import argparse
import json
import pathlib
from typing import Any

from wamjax.cli import data_encode, data_prepare
from wamjax.core.errors import UserError
from wamjax.core.files import write_text
from wamjax.data.cards.card import read_card
from wamjax.data.config import DataConfig
from wamjax.data.looking.contact_sheet import contact_sheet
from wamjax.data.looking.episode_page import episode_values
from wamjax.data.looking.inspect import report, report_text
from wamjax.data.normalising.streamed import stream_statistics
from wamjax.eval.report import page

KINDS = "an RLDS or LeRobot directory, a store, or a folder of videos; or its address (gs://...)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Examples:\n  wamjax data inspect DIR --sheet sheet.png\n"
        "  wamjax data prepare --from DIR --out STORE --size 128\n"
        "  wamjax data encode --run WORKDIR --out LATENTS\n"
        "  wamjax data stats STORE --card data/cards/NAME.toml --workers 8\n"
        "  wamjax data look DIR --episode 17"
    )
    verbs = "{inspect,prepare,encode,stats,look}"
    does = parser.add_subparsers(dest="does", metavar=verbs, required=True)
    whole = does.add_parser("inspect", help="schema, counts, suspicious things, a contact sheet")
    whole.add_argument("dir", help=KINDS)
    whole.add_argument("--sheet", type=pathlib.Path, help="default: NAME-contact-sheet.png")
    whole.add_argument("--json", action="store_true", help="print JSON")
    made = does.add_parser("prepare", help="convert any data set to a store, for fast windows")
    data_prepare.arguments(made)
    encoded = does.add_parser("encode", help="the latents of a run's windows, once, to train on")
    data_encode.arguments(encoded)
    stats = does.add_parser("stats", help="mean, spread and quantiles of actions and proprio")
    stats.add_argument("dirs", nargs="+", metavar="DIR", help=f"{KINDS}; several are one")
    stats.add_argument("--card", default="", help="numbers as the card makes them")
    stats.add_argument(
        "--relative",
        type=int,
        metavar="CHUNK",
        help="absolute numbers relative to the state before each chunk of so many actions, as with "
        "data.relative (needs --card)",
    )
    stats.add_argument("--split", default="train", help="default: train")
    stats.add_argument("--action-key", default="action", help="default: action")
    stats.add_argument("--proprio-key", default="state", help="default: state")
    stats.add_argument("--workers", type=int, default=1, metavar="N", help="processes (1)")
    stats.add_argument("--bad-budget", type=float, default=0.0, help="fraction that may be bad (0)")
    stats.add_argument("--json", action="store_true", help="print JSON")
    one = does.add_parser("look", help="one episode as an HTML page: video, numbers, texts")
    one.add_argument("dir", help=KINDS)
    one.add_argument("--episode", type=int, required=True, help="its number, from 0")
    one.add_argument("--split", help="default: train, or the first there is")
    one.add_argument("--out", type=pathlib.Path, help="default: NAME-SPLIT-episode-N.html")
    for sub in (whole, made, encoded, stats, one):
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
    if not 0.0 <= args.bad_budget < 1.0:
        raise UserError(f"--bad-budget must be in [0, 1), got {args.bad_budget:g}.")
    given = {"card": args.card, "split": args.split, "bad_budget": args.bad_budget}
    if args.relative is not None:
        if not args.card:
            raise UserError("--relative needs to know what the numbers mean: give --card.")
        if args.relative < 1:
            raise UserError(f"--relative must be at least 1, got {args.relative}.")
        given |= {"relative": True, "chunk": args.relative}
    if args.card:
        roles = tuple(read_card(args.card).cameras.roles)
        if not roles:
            raise UserError(f"{args.card} names no camera: add one.")
        given["cameras"] = roles[:1]
    else:
        given |= {"action_key": args.action_key, "proprio_key": args.proprio_key}
        given["instruction_key"] = None
    configs = [DataConfig(dir=directory, **given) for directory in args.dirs]
    value: dict[str, Any] = stream_statistics(configs, args.workers).to_json()
    if args.json:
        print(json.dumps(value, indent=2))
        return
    print(f"{value['episodes']} episodes, {value['steps']} steps")
    layouts = value["layouts"]
    for stream in ("action", "proprio"):
        print(f"{stream:<8} {'mean':>9} {'std':>9} {'min':>9} {'q01':>9} {'q99':>9} {'max':>9}")
        table = value[stream]
        for dim in range(len(table["mean"])):
            row = (table[name][dim] for name in ("mean", "std", "min", "q01", "q99", "max"))
            meaning = f"  {layouts[stream][dim]}" if layouts else ""
            print(f"  [{dim}]".ljust(9) + " ".join(f"{number:9.4f}" for number in row) + meaning)


def look(args: argparse.Namespace) -> None:
    """Write the page of one episode."""
    values = episode_values(args.dir, args.episode, split=args.split)
    out = args.out or pathlib.Path(
        f"{values['name']}-{values['split']}-episode-{args.episode}.html"
    )
    command = f"wamjax data look {args.dir} --episode {args.episode} --split {values['split']}"
    write_text(out, page("episode.html.j2", {**values, "command": command}))
    print(f"page: {out}")


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    match args.does:
        case "inspect":
            inspect(args)
        case "prepare":
            data_prepare.run(args)
        case "encode":
            data_encode.run(args)
        case "stats":
            stats(args)
        case "look":
            look(args)
        case other:
            raise UserError(f"{other} is not something to do with data; see --help.")
