"""Converts a tree of eight leaves, slowly; run by test_convert.

python -m tests.pretrained.killed_convert OUT SECONDS_A_TENSOR
"""

import pathlib
import sys
import time

import jax
import numpy as np

from wamjax.pretrained.convert import convert
from wamjax.pretrained.table import Rule, Table
from wamjax.pretrained.tensors import InMemory

LEAVES, LAYERS, SHAPE = 8, 5, (30, 20)


class Slow(InMemory):
    pause = 0.0

    def read(self, name: str) -> np.ndarray:
        time.sleep(self.pause)
        return super().read(name)


def main(out: pathlib.Path, pause: float) -> None:
    rng = np.random.default_rng(0)
    names = [f"x{n}" for n in range(LEAVES)]
    tensors = {
        f"{name}.{layer}": rng.normal(size=SHAPE).astype(np.float32)
        for name in names
        for layer in range(LAYERS)
    }
    table = Table(
        rules=tuple(Rule(f"{name}.{{layer}}", name, "a b -> b a") for name in names),
        counts={"layer": LAYERS},
    )
    target = {name: jax.ShapeDtypeStruct((LAYERS, *SHAPE[::-1]), np.float32) for name in names}
    Slow.pause = pause
    convert(Slow(tensors), table, target, out, {"of": "test"}, at_most=1)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), float(sys.argv[2]))
