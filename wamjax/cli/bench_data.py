"""`wamjax bench data`: windows a second of a run's data, and where the time goes."""

import argparse
import dataclasses
import json
import os
from typing import Any

from wamjax.cli import config_file
from wamjax.core.errors import UserError
from wamjax.core.progress import Progress
from wamjax.core.runtime import device_name, versions
from wamjax.data import Windows, compute_statistics, read_episodes
from wamjax.data.config import DataConfig
from wamjax.data.looking.speed import PARTS, measure
from wamjax.data.windows.members import members_of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the bench."""
    parser.epilog = (
        "One process, one batch after the other, nothing made ahead. On one thread: windows a\n"
        "second from disk, of decoding alone (limit), from memory, and milliseconds a window by\n"
        "part. On data.workers threads: windows a second from disk, and what half of the batches\n"
        "(p50) and 19 of 20 (p95) take.\n\n"
        "Examples:\n  wamjax bench data --config configs/bridge_tiny.py --config.data.dir=DIR\n"
        "  wamjax bench data --config configs/mixture_tiny.py --config.data.mixture=NAME "
        "--config.data.root=DIR"
    )
    config_file.arguments(parser)
    parser.add_argument("--batches", type=int, default=8, help="of each data set (default 8)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def data_sets(config: DataConfig) -> dict[str, DataConfig]:
    """Name -> config, of the one data set or of each of a mixture."""
    if not config.mixture:
        return {"data": config}
    return {member.name: member.config for member in members_of(config)}


def measured(config: DataConfig, batch: int, batches: int) -> dict[str, Any]:
    """Everything that is printed."""
    named, rows = data_sets(config), []
    with Progress("bench data", len(named), "data sets") as progress:
        for name, own in named.items():
            episodes = read_episodes(own)
            windows = Windows(own, compute_statistics(own, episodes), episodes)
            speed = measure(windows, batch, batches)
            row = {**dataclasses.asdict(speed), "rest": speed.rest}
            told = episodes.source.description
            name = told.name if name == "data" else name
            rows.append({"name": name, "format": told.file_format, **row})
            progress.advance(note=name)
    return {
        "device": device_name(),
        "versions": versions(),
        "load": os.getloadavg()[0],
        "image_size": config.image_size,
        "rows": rows,
    }


def as_text(result: dict[str, Any]) -> str:
    """The result for a reader."""
    head = "".join(f"{part:>9}" for part in (*PARTS, "rest"))
    lines = [
        f"{result['device']}; load {result['load']:.1f}; frames of {result['image_size']} pixels; "
        "windows a second, milliseconds a window by part, milliseconds a batch",
        f"{'data set':<16}{'format':<13}{'frames':>7}{'kB':>8}{'from disk':>10}{'limit':>8}"
        f"{'memory':>8}{'first, s':>9}{head}{'cpu':>9}{'threads':>9}{'from disk':>10}{'p50':>8}"
        f"{'p95':>8}",
    ]
    for row in result["rows"]:
        parts = [row["parts"][part] for part in PARTS] + [row["rest"], row["cpu"]]
        lines.append(
            f"{row['name'][:15]:<16}{row['format']:<13}{row['frames']:>7}{row['bytes'] / 1e3:>8.1f}"
            f"{1 / row['whole']:>10.1f}{1 / max(row['parts']['decode'], 1e-9):>8.1f}"
            f"{1 / row['kept']:>8.0f}{row['first']:>9.3f}"
            + "".join(f"{1e3 * seconds:>9.3f}" for seconds in parts)
            + f"{row['workers']:>9}{1 / row['shared']:>10.1f}{1e3 * row['p50']:>8.1f}"
            f"{1e3 * row['p95']:>8.1f}"
        )
    return "\n".join(lines)


def run(args: argparse.Namespace) -> None:
    """Run the bench."""
    if not 1 <= args.batches <= 10_000:
        raise UserError(f"--batches must be from 1 to 10000, got {args.batches}.")
    config = config_file.load(args.config, args.overrides)
    result = measured(config.data, config.train.batch, args.batches)
    print(json.dumps(result, indent=2) if args.json else as_text(result))
