"""Loads or converts a file of 3.2 GB and prints what memory it took; run by test_load.

python -m tests.pretrained.large_load load|convert FOLDER
"""

import json
import pathlib
import sys

import jax
import numpy as np

from wamjax.pretrained.convert import convert
from wamjax.pretrained.load import load
from wamjax.pretrained.opened import open_tensors
from wamjax.pretrained.safetensors_file import header_of
from wamjax.pretrained.table import Rule, Table

LAYERS, WIDTH, MLP = 24, 4096, 8192


def peak() -> int:
    """Bytes of this process that were resident at once.

    Of its own address space: `ru_maxrss` begins with what the process held that started it.
    """
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main(kind: str, folder: pathlib.Path) -> None:
    shapes = {
        f"blocks.{layer}.up": jax.ShapeDtypeStruct((MLP, WIDTH), np.float32)
        for layer in range(LAYERS)
    }
    file, one = folder / "large.safetensors", 4 * MLP * WIDTH
    header = header_of(shapes, {})
    rng = np.random.default_rng(0)
    with file.open("wb") as opened:
        opened.write(header)
        opened.truncate(len(header) + LAYERS * one)
        # The rest are holes, which read as zeros.
        for layer in range(LAYERS):
            opened.seek(len(header) + layer * one)
            opened.write(rng.normal(size=(4, WIDTH)).astype(np.float32).tobytes())
    table = Table(rules=(Rule("blocks.{layer}.up", "up", "o i -> i o"),), counts={"layer": LAYERS})
    target = {"up": jax.ShapeDtypeStruct((LAYERS, WIDTH, MLP), np.float32)}
    tensors = open_tensors(file)
    held = 0
    if kind == "load":
        tree = load(tensors, table, target)
        held = tree["up"].nbytes
        got = np.asarray(tree["up"][:, :, :4])
    else:
        convert(tensors, table, target, folder / "out", {"of": "large"})
        got = open_tensors(folder / "out").read("up")[:, :, :4]
    spent = peak()
    want = np.stack([tensors.read(name)[:4].T for name in shapes])
    assert np.array_equal(got, want)
    print(json.dumps({"file": LAYERS * one, "largest": one, "held": held, "peak": spent}))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
