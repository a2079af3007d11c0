"""`wamjax <verb>`: parse, run, and turn what a user can mend into one sentence and exit code 2."""

import argparse
import contextlib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from logging import CRITICAL, getLogger

from absl import logging

import wamjax
from wamjax.core.errors import Unfinished, UserError

# Verb -> (module with `arguments(parser)` and `run(args)`, one line of help).
VERBS = {
    "quickstart": "demonstrations -> RLDS -> train -> robustness evaluation -> report",
    "demos": "expert demonstrations from the simulator, written as RLDS",
    "data": "what is in a data set: inspect, prepare, encode, stats, look",
    "train": "train a config on an RLDS data set; resumes by default",
    "eval": "success in vectorised worlds, clean and along seven perturbation axes",
    "study": "arms x seeds x tasks x axes, matched and compared: one report",
    "sample": "predicted video beside the truth, predicted actions beside the log",
    "recipes": "the published systems: sizes, couplings, who sees whom, passes per chunk",
    "bench": "how fast a part is on this machine, with its ceiling: render, sample, rollout",
    "plan": "does a run fit a TPU slice that is not here, and how fast could it be",
    "convert": "public checkpoints to ours, and back to safetensors; families and licences",
    "doctor": "devices, versions, memory, and what is missing",
}

# EX_TEMPFAIL of sysexits.h: nothing is wrong, try again.
UNFINISHED = 75


def parser(verb: str | None) -> argparse.ArgumentParser:
    """The parser of all verbs; only the chosen verb's module is imported."""
    top = argparse.ArgumentParser(
        prog="wamjax",
        description="World Action Models in JAX/Flax.",
        epilog="Example: wamjax quickstart --workdir runs/quickstart",
    )
    top.add_argument("--version", action="version", version=f"wamjax {wamjax.__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, line in VERBS.items():
        sub = verbs.add_parser(
            name, help=line, description=line, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == verb:
            module = importlib.import_module(f"wamjax.cli.{name}")
            module.arguments(sub)
            sub.set_defaults(run=module.run)
            sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return top


def split_overrides(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """(arguments for argparse, overrides "--config.key=value")."""
    plain, overrides = [], []
    words = iter(argv)
    for word in words:
        if not word.startswith("--config."):
            plain.append(word)
        elif "=" in word:
            overrides.append(word)
        else:
            overrides.append(f"{word}={next(words, '')}")
    return plain, overrides


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 when the work was done, 2 when the user has to change something, 75 when SIGTERM ended a
        run that has saved and would go on, 130 when interrupted. A training that hangs ends the
        process with 3 (train.heartbeat).
    """
    # XLA's notes about cached programs and grain's about its profiler are no news for a user; what
    # Orbax logs as an error it raises, too, and it is told in one line.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.set_verbosity(logging.FATAL)
    getLogger("asyncio").setLevel(CRITICAL)
    argv = list(sys.argv[1:] if argv is None else argv)
    verb = next((word for word in argv if word in VERBS), None)
    plain, overrides = split_overrides(argv)
    args = parser(verb).parse_args(plain)
    try:
        if overrides and "config" not in args:
            raise UserError(f"{args.verb} takes no {overrides[0].split('=')[0]}; see --help.")
        args.overrides = overrides
        prepare()
        args.run(args)
    except UserError as error:
        if args.debug:
            raise
        print(f"wamjax {args.verb}: {error}", file=sys.stderr, flush=True)
        return ended(2)
    except Unfinished:
        return UNFINISHED
    except KeyboardInterrupt:
        print(f"wamjax {args.verb}: interrupted; the same command goes on.", file=sys.stderr)
        return 130
    except Exception as error:
        if not several_hosts():
            raise
        from wamjax.parallel.ending import last_words

        # The log may stand on the full disk that this is about.
        with contextlib.suppress(OSError):
            traceback.print_exc()
            print(f"wamjax {args.verb}: {last_words(error)}", file=sys.stderr, flush=True)
        return ended(1)
    return 0


def several_hosts() -> bool:
    """Whether this process has found others; jax is not imported to know it."""
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def ended(code: int) -> int:
    """The exit code of a process that ends badly; one of several hosts does not wait for them."""
    if not several_hosts():
        return code
    from wamjax.parallel.ending import leave

    return leave(code)


def prepare() -> None:
    """Settings of the process: the persistent compile cache is on."""
    from wamjax.core.runtime import enable_compile_cache

    enable_compile_cache()


if __name__ == "__main__":
    sys.exit(main())
