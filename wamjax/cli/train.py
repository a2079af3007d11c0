"""`wamjax train`: a config on an RLDS data set."""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import jax

from wamjax.cli import config_file
from wamjax.cli.ript import refuse_others, run_ript
from wamjax.core.errors import UserError
from wamjax.core.runtime import keep_memory
from wamjax.data import Episodes, Windows, make_loader, read_episodes, statistics_for
from wamjax.data.statistics import data_fingerprint, default_path
from wamjax.parallel.start import start_hosts
from wamjax.recipes.assembly import assembled
from wamjax.train.loop import train
from wamjax.train.run_config import RunConfig


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Example:\n  wamjax train --config configs/bridge_tiny.py --config.data.dir=DIR "
        "--workdir runs/bridge"
    )
    config_file.arguments(parser)
    parser.add_argument(
        "--workdir", required=True, type=pathlib.Path, help="all outputs; an old run is resumed"
    )
    parser.add_argument("--json", action="store_true", help="print final.json at the end")


def run_training(
    config: RunConfig, workdir: pathlib.Path, devices: Sequence[Any] | None = None
) -> dict[str, Any]:
    """Scan the data, compute or load their statistics, train on `devices` (by default on all).

    Returns:
        What `wamjax.train.loop.train` returns.
    """
    hosts = start_hosts()
    if jax.default_backend() == "cpu":
        keep_memory()
    episodes = read_episodes(config.data)
    statistics = statistics_for(config.data, episodes, statistics_place(config, episodes, workdir))
    loader = make_loader(
        config.data,
        config.train.batch,
        statistics,
        host_index=hosts.index,
        host_count=hosts.count,
        episodes=episodes,
    )
    check_widths(config, loader.source)
    return train(
        config,
        workdir,
        system=assembled(config.system),
        loader=loader,
        statistics=statistics.to_json(),
        devices=devices,
    )


def statistics_place(
    config: RunConfig, episodes: Episodes, workdir: pathlib.Path
) -> pathlib.Path | None:
    """Beside the data if they stand there already, else the workdir."""
    beside = default_path(config.data, data_fingerprint(episodes, config.data))
    return None if beside.is_file() else workdir


def check_widths(config: RunConfig, windows: Windows) -> None:
    """Refuse data whose actions or proprio are not as wide as the system expects.

    Raises:
        UserError: they differ.
    """
    action, proprio = windows.widths
    for label, got, wanted in (
        ("action_dim", action, config.system.action_dim),
        ("proprio_dim", proprio, config.system.proprio_dim),
    ):
        if got != wanted:
            raise UserError(
                f"the data have {got} numbers where system.{label} is {wanted}; "
                f"set --config.system.{label}={got}."
            )


def run(args: argparse.Namespace) -> None:
    """Run the verb; a run that SIGTERM ended has saved and counts as done."""
    config = config_file.load(args.config, args.overrides)
    if config.ript is None:
        final = run_training(config, args.workdir)
    else:
        refuse_others(args.overrides)
        final = run_ript(config, args.workdir)
    if args.json:
        json.dump(final, sys.stdout, indent=2)
        print()
