"""A checkpoint of full size with random weights, converted by the command line and measured.

    python -m tests.benchmarks.convert_full FOLDER [--family wan2.2-ti2v-5b] [--page FILE]

Writes the published names and shapes in bfloat16, shard by shard, converts them once in one go and
once with the process killed on the way, compares all files byte for byte, and every number with the
checkpoint's (`--verify`). Last, where memory and packages allow it, the original network and ours
run with these weights. FOLDER needs three times the room of the checkpoint.
"""

import argparse
import hashlib
import json
import math
import pathlib
import shutil
import subprocess
import sys
import time

import jax
import ml_dtypes
import numpy as np

from wamjax.core.files import write_json, write_text
from wamjax.core.runtime import device_name
from wamjax.pretrained.convert import REQUEST
from wamjax.pretrained.families import FAMILIES, family_of
from wamjax.pretrained.moves import their_shapes
from wamjax.pretrained.safetensors_file import INDEX, write

SHARD = 2 * 10**9
"""Bytes of a file of the checkpoint, at most."""
KILLED = 0.3
"""Of the bytes are written when the process is killed."""
GIB = 2**30
MEASURED = """
import resource, sys
from wamjax.cli.main import main
code = main(sys.argv[1:])
print(f"peak {1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}", file=sys.stderr)
sys.exit(code)
"""


def drawn(folder: pathlib.Path, shapes: dict[str, jax.ShapeDtypeStruct]) -> None:
    """Normal numbers under these names, in files with an index."""
    rng, homes = np.random.default_rng(0), dict[str, str]()
    shards: list[dict[str, jax.ShapeDtypeStruct]] = [{}]
    for name, shape in shapes.items():
        if sum(2 * x.size for x in shards[-1].values()) + 2 * shape.size > SHARD:
            shards.append({})
        shards[-1][name] = jax.ShapeDtypeStruct(shape.shape, ml_dtypes.bfloat16)

    def fill(name: str, place) -> None:
        shape = shapes[name].shape
        spread = math.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 1
        place()[...] = spread * rng.standard_normal(shape, np.float32)

    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        write(folder / file, shard, fill, {"format": "pt"})
        homes |= dict.fromkeys(shard, file)
    write_json(folder / f"model{INDEX}", {"metadata": {}, "weight_map": homes})


def convert(*words: str, kill_at: tuple[pathlib.Path, int] | None = None) -> tuple[float, int]:
    """Run `wamjax convert`: (seconds, peak bytes of the process), (seconds, 0) where it is killed
    once a folder holds so many bytes."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", MEASURED, "convert", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while kill_at is not None and process.poll() is None:
        folder, size = kill_at
        if sum(file.stat().st_size for file in folder.glob("*.safetensors")) >= size:
            process.kill()
            process.communicate()
            return time.monotonic() - began, 0
        time.sleep(0.2)
    _, told = process.communicate()
    assert process.returncode == 0, told
    return time.monotonic() - began, int(told.split("peak ")[-1])


def original(family: str, folder: pathlib.Path) -> str:
    """What `--verify` says of the original network with these weights."""
    words = ("convert", "--from", family, str(folder), "--verify", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "wamjax", *words], stdout=subprocess.PIPE, text=True, check=True
    )
    told = json.loads(done.stdout)
    return (
        f"{told['original']}: {', '.join(told['apart'])}" if "apart" in told else told["original"]
    )


def sums(folder: pathlib.Path) -> dict[str, str]:
    """File -> SHA-256, of the weights."""
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as opened:
            found[file.name] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def main() -> None:
    """Measure, and print or write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--family", choices=FAMILIES, default="wan2.2-ti2v-5b")
    parser.add_argument("--page", type=pathlib.Path)
    args = parser.parse_args()
    family, folder = family_of(args.family), args.folder
    theirs, whole, again = (folder / name for name in ("theirs", "whole", "again"))
    shapes = their_shapes(next(iter(family.layouts.values()))(), family.target())
    for path in (theirs, whole, again):
        shutil.rmtree(path, ignore_errors=True)
    theirs.mkdir(parents=True)
    drawn(theirs, shapes)
    size = sum(file.stat().st_size for file in theirs.glob("*.safetensors"))
    words = ("--from", family.name, str(theirs), "--accept-licence", "--out")
    seconds, peak = convert(*words, str(whole))
    first, _ = convert(*words, str(again), kill_at=(again, int(KILLED * size)))
    kept = len([*again.glob("*.safetensors")])
    rest, _ = convert(*words, str(again))
    assert sums(whole) == sums(again), "a conversion that was killed ends with other bytes"
    checked, _ = convert(
        "--from", family.name, str(theirs), "--verify", "--no-original", "--out", str(whole)
    )
    told = {
        "family": family.name,
        "checkpoint": f"{size / 1e9:.1f} GB in {len(shapes)} tensors of bfloat16",
        "largest tensor": f"{max(2 * x.size for x in shapes.values()) / 1e6:.0f} MB",
        "converted in": f"{seconds:.0f} s, {size / seconds / 1e6:.0f} MB/s",
        "peak of the process": f"{peak / GIB:.2f} GiB",
        "killed after": f"{first:.0f} s with {kept} files whole, ended in another {rest:.0f} s",
        "files of both": "equal, byte for byte",
        "compared number for number": f"equal, in {checked:.0f} s",
        "beside the original": original(family.name, theirs),
        "device": device_name(),
    }
    print(json.dumps(told, indent=2))
    if args.page is not None:
        rows = "\n".join(f"| {name} | {value} |" for name, value in told.items())
        command = f"python -m tests.benchmarks.convert_full FOLDER --family {family.name}"
        write_text(
            args.page,
            f"# A checkpoint of full size, converted\n\n    {command}\n\nRandom weights, once.\n\n"
            f"| | |\n|---|---|\n{rows}\n",
        )
    assert json.loads((whole / REQUEST).read_text()) == json.loads((again / REQUEST).read_text())


if __name__ == "__main__":
    main()
