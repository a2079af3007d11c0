"""`wamjax train`: a config on a data set or a mixture of several."""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import jax

from wamjax.cli import config_file
from wamjax.cli.latents import refuse_published, with_latents
from wamjax.cli.ript import refuse_others, run_ript
from wamjax.core.errors import Unfinished, UserError
from wamjax.core.runtime import keep_memory
from wamjax.data import (
    DataConfig,
    Episodes,
    Loader,
    Mixture,
    Statistics,
    Windows,
    read_episodes,
    statistics_for,
)
from wamjax.data.normalising.statistics import MixedStatistics, data_fingerprint, default_path
from wamjax.data.windows.members import members_of
from wamjax.data.windows.mixture import read_members
from wamjax.data.windows.pipeline import Numbered
from wamjax.parallel.mesh import make_mesh
from wamjax.parallel.shardings import batch_sharding, host_share
from wamjax.parallel.start import start_hosts
from wamjax.recipes.assembly import assembled, pretrained_parts
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.train.loop import train
from wamjax.train.run_config import RunConfig


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = (
        "Example:\n  wamjax train --config configs/bridge_tiny.py --config.data.dir=DIR "
        "--workdir runs/bridge\n\n"
        "The same command goes on where the run stands, bit for bit. SIGTERM saves and exits with\n"
        "code 75, what you can mend (a full disk at the end, another config, hosts that do not\n"
        "agree) with 2, a run that hangs with 3. --config.train.spike_sigmas=6 passes over\n"
        "spikes, patience says how many skipped steps in a row are borne, hang_after how many\n"
        "seconds a step may take. See docs/reliability.md.\n"
        "--config.train.only=PATTERN trains the weights whose path it matches,\n"
        "--config.train.lora=PATTERN low-rank adapters beside the kernels that it matches. See\n"
        "docs/weights.md. --config.train.start=DIR begins with the weights of a run or of what\n"
        "`wamjax convert` wrote.\n"
        "On many hosts it is started by the files of launch/."
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
    mesh = make_mesh(config.mesh, devices)
    share = host_share(batch_sharding(mesh, config.train.batch), config.train.batch)
    if jax.default_backend() == "cpu":
        keep_memory()
    windows = windows_for(config, workdir)
    check_widths(config, windows)
    check_embodiments(config, windows)
    lines = windows.told()
    if lines and hosts.index == 0:
        what = "mixture" if isinstance(windows, Mixture) else "data"
        print("\n".join([f"{what}:", *(f"  {line}" for line in lines)]), file=sys.stderr)
    statistics, system = windows.statistics, assembled(config.system)
    given = pretrained_parts(config.system)
    source: Numbered = windows
    if config.data.latents is not None:
        source, codec = with_latents(config, system, windows)
        given |= codec
    else:
        refuse_published(config, system)
    loader = Loader(source, config.train.batch, *share)
    return train(
        config,
        workdir,
        system=system,
        loader=loader,
        statistics=statistics.to_json(),
        given=given,
        devices=devices,
    )


def windows_for(config: RunConfig, workdir: pathlib.Path | None) -> Windows | Mixture:
    """The windows of the run's data, with statistics that are loaded or computed.

    Args:
        config: the run's.
        workdir: where statistics are kept if there are none beside the data; None for nowhere.
    """
    data = config.data
    if not data.mixture:
        episodes = read_episodes(data)
        return Windows(data, stored_statistics(data, episodes, workdir), episodes)
    tables = read_members(data)
    members = {
        member.name: stored_statistics(member.config, tables[member.name], workdir)
        for member in members_of(data)
    }
    return Mixture(data, MixedStatistics(members), tables)


def stored_statistics(
    config: DataConfig, episodes: Episodes, workdir: pathlib.Path | None
) -> Statistics:
    """Those beside the data if they stand there already, else in the workdir."""
    beside = default_path(config, data_fingerprint(episodes, config))
    return statistics_for(config, episodes, None if beside.is_file() else workdir)


def check_widths(config: RunConfig, windows: Windows | Mixture) -> None:
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


def check_embodiments(config: RunConfig, windows: Windows | Mixture) -> None:
    """Refuse more robots than a system has weights for, where it has some for each.

    Raises:
        UserError: there are more.
    """
    system = config.system
    if not isinstance(windows, Mixture) or not isinstance(system, RecipeConfig):
        return
    robots = windows.embodiments
    if 1 < system.embodiments < len(robots):
        raise UserError(
            f"the mixture has {len(robots)} robots ({', '.join(robots)}), and {system.recipe} has "
            f"weights for {system.embodiments}: leave some of them out."
        )


def run(args: argparse.Namespace) -> None:
    """Run the verb.

    Raises:
        Unfinished: SIGTERM ended the run, which has saved.
    """
    config = config_file.load(args.config, args.overrides)
    if config.ript is None:
        final = run_training(config, args.workdir)
    else:
        refuse_others(args.overrides)
        final = run_ript(config, args.workdir)
    if args.json:
        json.dump(final, sys.stdout, indent=2)
        print()
    if not final["finished"]:
        raise Unfinished
