"""LeRobot's data set and PyTorch's DataLoader as a contestant; runs under LeRobot's own Python."""

import importlib.metadata
from typing import Any

import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from torchvision.transforms import v2

from tests.benchmarks.turns import Player, serve


def make(settings: dict[str, Any]) -> Player:
    """Of a data set of version 3.0; `size` None leaves frames at the size they were recorded in."""
    torch.set_num_threads(settings["threads"])
    camera, size, rate = settings["camera"], settings["size"], settings["rate"]
    history = range(1 - settings["history"], 1)
    data = LeRobotDataset(
        "local/set",
        root=settings["root"],
        delta_timestamps={
            camera: [step / rate for step in history],
            "action": [step / rate for step in range(settings["chunk"])],
        },
        image_transforms=None if size is None else v2.Resize((size, size), antialias=True),
    )
    workers = settings["workers"]
    loader = torch.utils.data.DataLoader(
        data, settings["batch"], shuffle=True, num_workers=workers, drop_last=True,
        persistent_workers=workers > 0,
    )  # fmt: skip

    def endless():
        while True:
            yield from loader

    stream = endless()

    def batch() -> int:
        return len(next(stream)["index"])

    def examples() -> dict[str, np.ndarray]:
        found = [next(stream) for _ in range(settings["examples"])]
        frames = np.concatenate([b[camera].numpy() for b in found])
        return {
            "row": np.concatenate([b["index"].numpy() for b in found]),
            "proprio": np.concatenate([b["observation.state"].numpy() for b in found]),
            "frames": np.moveaxis(255 * frames, -3, -1),
            "actions": np.concatenate([b["action"].numpy() for b in found]),
        }

    names = ("lerobot", "torch", "torchcodec", "torchvision")
    about = {name: importlib.metadata.version(name) for name in names}
    return Player(batch, examples, {**about, "video": data.video_backend})


if __name__ == "__main__":
    serve(make)
