"""Real data of three robots, and a clip without actions, as one mixture."""

import functools
import json
import pathlib
import shutil
from collections.abc import Iterator

import av
import numpy as np

from wamjax.core.records import Episode
from wamjax.data import DataConfig, write_rlds
from wamjax.data.files.images import sized

HERE = pathlib.Path(__file__).parent
CARDS = HERE.parents[1] / "data" / "cards"
SIDE = 64
NAMES = ("bridge", "droid_five", "g1", "clip")
# At the common rate of 5 Hz, a stride of one step from frame to frame.
WINDOW = {
    "cameras": ("primary", "secondary", "wrist", "head"),
    "image_size": 48,
    "history": 1,
    "future": 2,
    "frame_stride": 1,
    "chunk": 4,
    "rate_hz": 5.0,
    "holdout": 0.0,
    "prefetch": 0,
    "split": "train",
}


@functools.cache
def _decoded(path: pathlib.Path, side: int) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([sized(frame.to_image(), side) for frame in container.decode(video=0)])


def droid_episodes(shared: pathlib.Path, side: int = SIDE) -> Iterator[Episode]:
    """DROID at 5 Hz, small: what is done is the change of the state; 1 is an open gripper."""
    root = shared / "droid_ctrlworld" / "droid_subset"
    for split in ("train", "val"):
        for path in sorted((root / "annotation" / split).glob("*.json")):
            told = json.loads(path.read_text())
            state = np.asarray(told["states"], np.float32)
            state[:, 6] = 1.0 - state[:, 6]
            change = np.diff(state, axis=0, append=state[-1:])
            change[:, 3:6] = (change[:, 3:6] + np.pi) % (2 * np.pi) - np.pi
            folder = root / "videos" / split / path.stem
            videos = [_decoded(folder / f"{n}.mp4", side) for n in range(3)]
            frames = {
                n: v[: len(state)]
                for n, v in zip(("exterior_1", "exterior_2", "wrist"), videos, strict=True)
            }
            yield Episode(
                frames=frames,
                proprio=state,
                actions=np.concatenate([change[:, :6], np.roll(state[:, 6:], -1, axis=0)], axis=1),
                instruction=told["texts"][0],
                success=bool(told["success"]),
                control_hz=5.0,
                metadata={"id": path.stem},
            )


def place(shared: pathlib.Path, root: pathlib.Path) -> DataConfig:
    """The mixture's files below `root`, and its config."""
    write_rlds(root / "data", "droid_five", "1.0.0", droid_episodes(shared), shard_episodes=4)
    (root / "data" / "clips").mkdir()
    (root / "data" / "clips" / "clip").symlink_to(shared / "droid_video_dreamzero")
    (root / "data" / "bridge").symlink_to(shared / "octo_debug_bridge" / "bridge_dataset")
    (root / "data" / "g1").symlink_to(shared / "g1_inspire_lerobot_v21")
    cards = root / "cards"
    shutil.copytree(HERE / "cards", cards)
    for name, ours in (("bridge", "bridge_dataset"), ("g1", "g1_inspire")):
        shutil.copy(CARDS / f"{ours}.toml", cards / f"{name}.toml")
    (root / "mixtures.toml").write_text(
        '[three_robots]\nsource = "here"\n'
        "weights = { bridge = 1.0, droid_five = 0.5, g1 = 0.25, clip = 0.5 }\n"
        'dirs = { clip = "clips" }\n'
    )
    return DataConfig(
        mixture="three_robots",
        mixtures=str(root / "mixtures.toml"),
        root=str(root / "data"),
        cards=str(cards),
        **WINDOW,
    )
