"""What the contestants of tests/benchmarks/wan.py have in common, without any framework.

The weights are a safetensors file of diffusers' names, as a published Wan would be; beside it lies
a copy in which every weight is its own number. Whoever reads that with the names of another
library learns where each weight went, so that trained weights can be told in one order by all.
"""

import dataclasses
import importlib.metadata
import json
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import safetensors.numpy

from tests.benchmarks.turns import Player

RATE, BETAS, EPS, DECAY = 1e-4, (0.9, 0.999), 1e-8, 1e-2  # AdamW
STEPS = 2  # of training, before weights are compared
FILE = "diffusion_pytorch_model.safetensors"


@dataclasses.dataclass(frozen=True)
class Work:
    """One program on inputs and weights that lie in a folder.

    Attributes:
        folder: of the inputs; below it "weights" and "numbers".
        program: "forward" or "train step".
        sizes: of the model, as tests.model.wan_reference.Sizes has them.
    """

    folder: str
    program: str
    sizes: Mapping[str, int]

    def inputs(self) -> dict[str, np.ndarray]:
        """float32 latents and target [B, c, L, h, w], text [B, X, W], sigma [B]."""
        with np.load(pathlib.Path(self.folder) / "inputs.npz") as found:
            return dict(found)

    def place(self, kind: str) -> pathlib.Path:
        """The folder of "weights" or of "numbers", which diffusers would load from."""
        return pathlib.Path(self.folder) / kind

    def state(self, kind: str) -> dict[str, np.ndarray]:
        """diffusers' name -> weight, or number of each weight."""
        return safetensors.numpy.load_file(self.place(kind) / FILE)


def write(work: Work, weights: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]) -> int:
    """Lay out the files; returns how many weights there are."""
    np.savez(pathlib.Path(work.folder) / "inputs.npz", **dict(inputs))
    numbers, count = {}, 0
    for name, weight in weights.items():
        numbers[name] = np.arange(count, count + weight.size, dtype=np.int32).reshape(weight.shape)
        count += weight.size
    for kind, state in (("weights", dict(weights)), ("numbers", numbers)):
        place = work.place(kind)
        place.mkdir()
        safetensors.numpy.save_file(state, place / FILE)
        index = {"weight_map": dict.fromkeys(state, FILE)}
        (place / f"{FILE}.index.json").write_text(json.dumps(index))
    return count


def in_order(weights: Sequence[Any], numbers: Sequence[Any]) -> np.ndarray:
    """Weights by their numbers, float32 [count]; each must be there once.

    Args:
        weights, numbers: the same arrays of a model, as values and as numbers.
    """
    value, place = (np.concatenate([np.ravel(x) for x in part]) for part in (weights, numbers))
    out = np.empty(len(value), np.float32)
    out[place] = value
    assert (np.sort(place) == np.arange(len(place))).all()
    return out


def started(
    run: Callable[[], None],
    examples: Callable[[], Mapping[str, np.ndarray]],
    batch: int,
    packages: Sequence[str],
) -> Player:
    """A contestant that has run once, which compiles; its seconds are in `about`.

    Args:
        run: one call of the program, to its end.
        examples: what it brings forth, from the first weights on.
        batch: samples of a call.
        packages: whose versions to tell.
    """
    begun = time.perf_counter()
    run()
    first = time.perf_counter() - begun

    def again() -> int:
        run()
        return batch

    versions = {name: importlib.metadata.version(name) for name in packages}
    return Player(again, examples, {"first": first, "versions": versions})
