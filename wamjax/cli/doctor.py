"""`wamjax doctor`: what this machine has, and what is missing."""

import argparse
import importlib.util
import json
import os
import shutil
from typing import Any

# What is optional: module -> what it is for and how to get it.
OPTIONAL = {
    "tensorflow": "reading our RLDS with TFDS itself: pip install 'wamjax[tfds]'",
    "libtpu": "TPUs: pip install 'wamjax[tpu]'",
    "jax_cuda13_plugin": "NVIDIA GPUs: pip install 'wamjax[cuda]'",
    "beartype": "the tests: pip install 'wamjax[dev]'",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.epilog = "Example:\n  wamjax doctor --json"
    parser.add_argument("--json", action="store_true", help="print JSON")


def examine() -> dict[str, Any]:
    """Devices, versions, memory, disk, and the optional parts that are missing."""
    import jax

    from wamjax.core.runtime import device_name, memory_available, versions

    page = os.sysconf("SC_PAGE_SIZE")
    return {
        "device": device_name(),
        "devices": [str(device) for device in jax.devices()],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(page * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "memory_free_gib": round(memory_available() / 2**30, 1),
        "disk_free_gib": round(shutil.disk_usage(".").free / 2**30, 1),
        "compile_cache": str(jax.config.jax_compilation_cache_dir),  # pyright: ignore
        "versions": versions(),
        "missing": {
            name: use for name, use in OPTIONAL.items() if importlib.util.find_spec(name) is None
        },
    }


def run(args: argparse.Namespace) -> None:
    """Run the verb."""
    found = examine()
    if args.json:
        print(json.dumps(found, indent=2))
        return
    print(f"device         {found['device']}")
    for name in ("cores", "memory_gib", "memory_free_gib", "disk_free_gib", "compile_cache"):
        print(f"{name:<14} {found[name]}")
    for name, version in found["versions"].items():
        print(f"{name:<20} {version}")
    for name, use in found["missing"].items():
        print(f"not installed: {name} (for {use})")
