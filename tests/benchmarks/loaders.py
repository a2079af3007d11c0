"""Our loader beside octo's, LeRobot's and decoding alone: samples a second on the same cores.

    python -m tests.benchmarks.loaders --octo OCTO DLIMP --lerobot PYTHON [--page FILE]

OCTO and DLIMP are checkouts of octo-models/octo and kvablack/dlimp, read by TensorFlow of this
Python; PYTHON is one with LeRobot 0.4. What is not given is left out. Each contestant is a process,
pinned to the same cores and stopped while it is not its turn; the examples that they deliver are
checked equal first.
"""

import argparse
import dataclasses
import os
import pathlib
import sys
import tempfile
import time
from typing import Any

import numpy as np

from tests.benchmarks import loaders_data
from tests.benchmarks.loaders_page import Comparison, page, table
from tests.benchmarks.turns import Contestant, compete
from tests.conftest import SHARED_DATA
from wamjax.core.runtime import device_name
from wamjax.data import DataConfig, compute_statistics, read_episodes

BATCH = 16
OURS = [sys.executable, "-m", "tests.benchmarks.loaders_ours"]
OCTO = [sys.executable, "-m", "tests.benchmarks.loaders_octo"]
SMALL: dict[str, Any] = {
    "image_size": 64, "history": 2, "future": 0, "frame_stride": 1, "chunk": 4, "holdout": 0.0,
    "gripper_dim": None,
}  # fmt: skip
LONG: dict[str, Any] = {
    "cameras": ("exterior_1_image", "exterior_2_image", "wrist_image"), "image_size": 128,
    "history": 1, "future": 16, "frame_stride": 1, "chunk": 16, "holdout": 0.0,
}  # fmt: skip


def ours(config: DataConfig, batches: int, *, limit: bool = False) -> Contestant:
    """Our loader, or decoding alone."""
    settings = {"config": dataclasses.asdict(config), "batch": BATCH, "limit": limit}
    return Contestant(OURS, settings, batches)


def check(mine: dict[str, np.ndarray], peer: dict[str, np.ndarray], mean: float) -> str:
    """The peer's examples are ours; frames differ by decoder and resizing.

    Args:
        mine: every window once.
        peer: some of them.
        mean: levels that frames may differ by, on average.
    """
    if "row" in peer:
        order = np.argsort(mine["row"])
        places = order[np.searchsorted(mine["row"][order], peer["row"])]
    else:
        # A window is known by its state and actions.
        a, b = (np.concatenate([e["proprio"], e["actions"].reshape(len(e["proprio"]), -1)], axis=1)
                for e in (peer, mine))  # fmt: skip
        places = np.abs(a[:, None] - b[None]).max(axis=2).argmin(axis=1)
    for name in ("proprio", "actions"):
        np.testing.assert_allclose(peer[name], mine[name][places], atol=2e-5, rtol=1e-5)
    apart = np.abs(peer["frames"].astype(np.float32) - mine["frames"][places])
    assert apart.mean() < mean, apart.mean()
    return (
        f"{len(places)} examples ({len(np.unique(places))} different windows of "
        f"{len(mine['actions'])}): states and actions equal, frames {apart.mean():.2f} levels "
        f"apart on average, {apart.max():.0f} at most"
    )


def bridge(root: pathlib.Path, paths: list[str] | None, workers: int, repeats: int) -> Comparison:
    """RLDS of 64 x 64 pixels: octo's loader."""
    directory = loaders_data.bridge(SHARED_DATA, root)
    config = DataConfig(
        dir=str(directory), cameras=("image_0",), action_norm="zscore", proprio_norm="zscore",
        workers=workers, **SMALL,
    )  # fmt: skip
    found = compute_statistics(config, read_episodes(config))
    told = {
        key: {"mean": list(of.mean), "std": list(of.std)}
        for key, of in (("action", found.action), ("proprio", found.proprio))
    }
    bare = dataclasses.replace(config, cache_bytes=0)
    contestants = {
        "wamjax": ours(bare, 80),
        "wamjax, decoded frames kept": ours(config, 80),
        "decoding alone": ours(bare, 80, limit=True),
    }
    checks = []
    if paths:
        settings = {
            "paths": paths, "name": "bridge_dataset", "root": str(directory.parents[1]),
            "camera": "image_0", "proprio": "state", "statistics": told, "batch": BATCH,
            "history": config.history, "chunk": config.chunk, "examples": 20,
        }  # fmt: skip
        octo = Contestant(OCTO, {**settings, "bare": False}, 80)
        bare_octo = Contestant(OCTO, {**settings, "bare": True}, 80)
        mine = contestants["wamjax"].examples(root / "ours.npz")
        for name, peer in (("octo", octo), ("octo, no augmentation", bare_octo)):
            checks.append(f"{name}: {check(mine, peer.examples(root / 'peer.npz'), 2.5)}")
            contestants[name] = peer
    return Comparison(
        "Bridge sample, RLDS, 1 camera of 64 x 64, 2 frames and 4 actions, batch 16",
        contestants, compete(contestants, repeats), checks,
        {name: 2.0 for name in contestants if name.startswith("octo")},
    )  # fmt: skip


def g1(root: pathlib.Path, python: str | None, workers: int, repeats: int) -> Comparison:
    """Video of 480 x 640 pixels: LeRobot's loader."""
    directory = loaders_data.g1(SHARED_DATA, root)
    config = DataConfig(
        dir=str(directory), cameras=(loaders_data.HEAD,), action_norm="identity",
        proprio_norm="identity", proprio_key="observation.state", instruction_key="task",
        workers=workers, **SMALL,
    )  # fmt: skip
    bare = dataclasses.replace(config, cache_bytes=0)
    contestants = {"wamjax": ours(bare, 6), "wamjax, decoded frames kept": ours(config, 200)}
    checks = []
    if python:
        command = [python, "-m", "tests.benchmarks.loaders_lerobot"]
        settings = {
            "root": str(directory), "camera": loaders_data.HEAD, "rate": 30, "batch": BATCH,
            "history": config.history, "chunk": config.chunk, "examples": 6, "threads": workers,
        }  # fmt: skip
        mine = contestants["wamjax"].examples(root / "ours.npz")
        for name, size, processes in (
            ("LeRobot", 64, 0),
            (f"LeRobot, {workers} workers", 64, workers),
            (f"LeRobot, {workers} workers, not resized", None, workers),
        ):
            peer = Contestant(command, {**settings, "size": size, "workers": processes}, 6)
            if size is not None:
                checks.append(f"{name}: {check(mine, peer.examples(root / 'peer.npz'), 1.5)}")
            contestants[name] = peer
    return Comparison(
        "G1 sample, LeRobot v3.0, AV1 of 480 x 640 to 64 x 64, 2 frames and 4 actions, batch 16",
        contestants, compete(contestants, repeats), checks,
        {name: 2.0 for name in contestants if name.startswith("LeRobot")},
    )  # fmt: skip


def droid(root: pathlib.Path, workers: int, repeats: int) -> Comparison:
    """Long windows of three cameras: decoding alone."""
    rlds, store = loaders_data.droid(SHARED_DATA, root, LONG["image_size"])
    bare = DataConfig(dir=str(rlds), cache_bytes=0, workers=workers, **LONG)
    stored = dataclasses.replace(bare, dir=str(store))
    contestants = {
        "wamjax": ours(bare, 8),
        "wamjax, store": ours(stored, 8),
        "wamjax, decoded frames kept": ours(dataclasses.replace(bare, cache_bytes=2**30), 40),
        "decoding alone": ours(bare, 8, limit=True),
    }
    mine = contestants["wamjax"].examples(root / "ours.npz")
    again = contestants["wamjax, store"].examples(root / "peer.npz")
    for name, value in mine.items():
        np.testing.assert_array_equal(value, again[name])
    return Comparison(
        "DROID sample, RLDS, 3 cameras of 128 x 128 JPEG, 17 frames and 16 actions, batch 16",
        contestants, compete(contestants, repeats),
        [f"{len(mine['row'])} examples: the store's equal those of RLDS, bit for bit"],
        {"decoding alone": 1 / 1.3},
    )  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--octo", nargs=2, metavar=("OCTO", "DLIMP"), help="checkouts")
    add("--lerobot", metavar="PYTHON", help="with LeRobot 0.4")
    add("--cores", type=int, default=2)
    add("--repeats", type=int, default=9)
    add("--only", choices=("bridge", "g1", "droid"))
    add("--page", type=pathlib.Path)
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: args.cores]
    os.sched_setaffinity(0, cores)
    os.environ |= {"HF_HUB_OFFLINE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    started, loads, found = time.monotonic(), [os.getloadavg()[0]], []
    octo, workers, repeats = args.octo, len(cores), args.repeats
    with tempfile.TemporaryDirectory() as place:
        root = pathlib.Path(place)
        os.environ["HF_HOME"] = str(root / "hf")
        for name, measure in (
            ("bridge", lambda: bridge(root, octo, workers, repeats)),
            ("g1", lambda: g1(root, args.lerobot, workers, repeats)),
            ("droid", lambda: droid(root, workers, repeats)),
        ):
            if args.only in (None, name):
                comparison = measure()
                print("\n".join(table(comparison)), flush=True)
                for contestant in comparison.contestants.values():
                    contestant.end()
                found.append(comparison)
                loads.append(os.getloadavg()[0])
    about = {
        "device": device_name(),
        "cores": len(cores),
        "load": f"{min(loads):.1f} to {max(loads):.1f}",
        "repeats": repeats,
        "seconds": time.monotonic() - started,
    }
    print(f"load {about['load']}, {len(cores)} cores, {about['seconds']:.0f} s")
    if args.page:
        args.page.write_text(page(found, about))


if __name__ == "__main__":
    main()
