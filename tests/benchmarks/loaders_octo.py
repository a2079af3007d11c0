"""octo's loader on dlimp and tf.data as a contestant.

Octo's own functions, in the order of its `make_interleaved_dataset`; "bare" leaves out its step of
augmentation and dropout, which draws random numbers for every image even where none is changed.
"""

import importlib.metadata
import sys
from typing import Any

import numpy as np

from tests.benchmarks.turns import Player, serve

SHUFFLE = 1000  # frames; more than the sample holds


def make(settings: dict[str, Any]) -> Player:
    """Of an RLDS directory; `paths` are those of dlimp and octo."""
    sys.path[:0] = settings["paths"]
    import tensorflow as tf
    from octo.data.dataset import (
        apply_frame_transforms,
        apply_trajectory_transforms,
        make_dataset_from_rlds,
    )

    numbers = {
        key: {name: np.array(value, np.float32) for name, value in told.items()}
        for key, told in settings["statistics"].items()
    }
    given, _ = make_dataset_from_rlds(
        settings["name"],
        settings["root"],
        train=True,
        image_obs_keys={"primary": settings["camera"]},
        proprio_obs_key=settings["proprio"],
        language_key="language_instruction",
        dataset_statistics=numbers,
    )
    windows = {"window_size": settings["history"], "action_horizon": settings["chunk"]}
    frames = apply_trajectory_transforms(given.repeat(), train=True, **windows).flatten()
    frames = apply_frame_transforms(
        frames.shuffle(SHUFFLE), train=not settings["bare"], resize_size={}
    )
    batches = frames.batch(settings["batch"]).with_ram_budget(1).ignore_errors(log_warning=True)
    stream = batches.iterator()

    def batch() -> int:
        return len(next(stream)["action"])

    def examples() -> dict[str, np.ndarray]:
        found = [next(stream) for _ in range(settings["examples"])]
        return {
            "proprio": np.concatenate([b["observation"]["proprio"][:, -1] for b in found]),
            "frames": np.concatenate([b["observation"]["image_primary"] for b in found]),
            "actions": np.concatenate([b["action"][:, -1] for b in found]),
        }

    about = {
        "tensorflow": tf.__version__,
        "tfds": importlib.metadata.version("tensorflow-datasets"),
    }
    return Player(batch, examples, about)


if __name__ == "__main__":
    serve(make)
