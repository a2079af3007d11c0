"""`wamjax bench WHAT`: how fast a part is on this machine, with its ceiling beside it."""

import argparse
import importlib

# What -> one line of help; the module is wamjax.cli.bench_WHAT with `arguments` and `run`.
BENCHES = {
    "render": "pictures per second of the ray caster",
    "sample": "milliseconds a chunk of every recipe, with FLOPs, bytes and the least time",
    "train": "milliseconds a train step, with FLOPs, MFU, memory and what bounds it",
    "data": "windows per second of a data set or mixture, and where the time goes",
    "rollout": "episodes per second of a whole evaluation, beside the loop one would write",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = "Example:\n  wamjax bench render --size 64 --worlds 16,64"
    whats = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    for name, line in BENCHES.items():
        sub = whats.add_parser(
            name, help=line, description=line, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module = importlib.import_module(f"wamjax.cli.bench_{name}")
        module.arguments(sub)
        sub.set_defaults(bench=module.run)
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    args.bench(args)
