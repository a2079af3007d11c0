"""Write episodes as a true RLDS data set in TFDS layout, without TensorFlow.

    <directory>/<name>/<version>/dataset_info.json, features.json,
                                 <name>-<split>.tfrecord-00000-of-0000N

`tfds.builder_from_directory` reads it. A data set is there whole or not at all: it is written
beside its place and renamed at the end. The same episodes give the same bytes.
"""

import io
import itertools
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core.dataset_info import get_dataset_info_json
from tensorflow_datasets.core.proto import dataset_info_pb2

from wamjax.core.errors import UserError
from wamjax.core.records import Episode
from wamjax.data import example, tfrecord

PNG_LEVEL = 1  # higher levels save a tenth of the bytes for twice the time


def image_key(camera: str) -> str:
    """The RLDS observation key of a camera: "primary" -> image, "wrist" -> wrist_image."""
    return "image" if camera == "primary" else f"{camera}_image"


def dataset_directory(directory: str | os.PathLike, name: str, version: str) -> pathlib.Path:
    """Where `write_rlds` puts the data set."""
    return pathlib.Path(directory) / name / version


def write_rlds(
    directory: str | os.PathLike,
    name: str,
    version: str,
    episodes: Iterable[Episode],
    *,
    split: str = "train",
    description: str = "",
    shard_episodes: int = 128,
) -> pathlib.Path:
    """Write `episodes` and return the version directory.

    Args:
        directory: the parent; the data set goes to directory/name/version.
        name: lower case letters, digits and underscores.
        version: "1.0.0".
        episodes: read once, one at a time; all with the same cameras, shapes and metadata.
        split: name of the one split.
        description: for dataset_info.json.
        shard_episodes: episodes a file.

    Raises:
        UserError: the data set exists already, or there is no episode.
        ValueError: bad name, or episodes that do not fit together.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ValueError(f"name {name!r} or version {version!r} is not of the form TFDS wants")
    target = dataset_directory(directory, name, version)
    if target.exists():
        raise UserError(f"{target} exists already: remove it or choose another place.")
    work = target.with_name(f".{version}.incomplete")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        _write_split(work, name, version, episodes, split, description, shard_episodes)
        os.rename(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _write_split(
    work: pathlib.Path,
    name: str,
    version: str,
    episodes: Iterable[Episode],
    split: str,
    description: str,
    shard_episodes: int,
) -> None:
    lengths: list[int] = []
    payload_bytes = 0
    schema: dict[str, Any] | None = None
    features = None
    rest = iter(enumerate(episodes))
    for first in rest:
        with tfrecord.Writer(work / f"shard-{len(lengths):05d}") as writer:
            # A shard is opened by its first episode, so that none is ever empty.
            for number, episode in itertools.chain(
                [first], itertools.islice(rest, shard_episodes - 1)
            ):
                _check(episode)
                found = _schema(episode)
                if schema is None:
                    schema, features = found, _features(episode)
                elif found != schema:
                    raise ValueError(
                        f"episode {number} has the form {found}, the first one {schema}"
                    )
                writer.write(example.encode(_flat(episode, number)))
        lengths.append(writer.count)
        payload_bytes += writer.payload_bytes
    if features is None:
        raise UserError("There is no episode to write: ask for at least one.")
    for shard in range(len(lengths)):
        final = f"{name}-{split}.tfrecord-{shard:05d}-of-{len(lengths):05d}"
        os.rename(work / f"shard-{shard:05d}", work / final)
    features.save_config(str(work))
    wire: Any = dataset_info_pb2
    info = wire.DatasetInfo(
        name=name,
        version=version,
        description=description or f"{name}: episodes in RLDS form.",
        file_format="tfrecord",
        module_name="wamjax.data.writer",
        splits=[
            wire.SplitInfo(
                name=split,
                shard_lengths=lengths,
                num_bytes=payload_bytes,
                filepath_template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            )
        ],
    )
    text = json.dumps(json.loads(get_dataset_info_json(info)), indent=2, sort_keys=True)
    (work / "dataset_info.json").write_text(text + "\n", encoding="utf-8")


def _check(episode: Episode) -> None:
    length = len(episode.actions)
    counts = {"proprio": len(episode.proprio)}
    counts |= {camera: len(frames) for camera, frames in episode.frames.items()}
    for what, count in counts.items():
        if count != length or length == 0:
            raise ValueError(f"an episode has {length} actions and {count} rows of {what}")
    if not (np.isfinite(episode.actions).all() and np.isfinite(episode.proprio).all()):
        raise ValueError("an episode has actions or proprio that are not finite")


def _schema(episode: Episode) -> dict[str, Any]:
    return {
        "cameras": {camera: frames.shape[1:] for camera, frames in sorted(episode.frames.items())},
        "action": episode.actions.shape[1:],
        "proprio": episode.proprio.shape[1:],
        "metadata": {key: type(value).__name__ for key, value in sorted(episode.metadata.items())},
    }


def _features(episode: Episode) -> tfds.features.FeaturesDict:
    features = tfds.features

    def number(width: int, doc: str) -> Any:
        return features.Tensor(shape=(width,), dtype=np.float32, doc=doc)

    def scalar(dtype: Any, doc: str) -> Any:
        return features.Scalar(dtype=dtype, doc=doc)

    observation: dict[str, Any] = {
        image_key(camera): features.Image(
            shape=frames.shape[1:], dtype=np.uint8, encoding_format="png", doc=f"{camera} camera."
        )
        for camera, frames in episode.frames.items()
    }
    observation["state"] = number(episode.proprio.shape[1], "The robot's own reading.")
    step = {
        "observation": features.FeaturesDict(observation),
        "action": number(episode.actions.shape[1], "Leads to the next step; zero on the last one."),
        "reward": scalar(np.float32, "1 on the last step of a solved episode."),
        "discount": scalar(np.float32, "Always 1."),
        "is_first": scalar(np.bool_, "First step of the episode."),
        "is_last": scalar(np.bool_, "Last step of the episode; its action is undefined."),
        "is_terminal": scalar(np.bool_, "Last step of a solved episode."),
        "language_instruction": features.Text(doc="The goal."),
    }
    metadata: dict[str, Any] = {
        "episode_id": scalar(np.int64, "Number of the episode in the order of writing."),
        "success": scalar(np.bool_, "Whether the task was solved."),
        "control_hz": scalar(np.float32, "Control steps per second."),
    }
    for key, value in episode.metadata.items():
        if isinstance(value, str):
            metadata[key] = features.Text()
        else:
            metadata[key] = features.Scalar(dtype=_dtype(value))
    return features.FeaturesDict(
        {"steps": features.Dataset(step), "episode_metadata": features.FeaturesDict(metadata)}
    )


def _dtype(value: bool | int | float) -> Any:
    match value:
        case bool():
            return np.bool_
        case int():
            return np.int64
        case float():
            return np.float32


def _flat(episode: Episode, number: int) -> dict[str, np.ndarray | list[bytes]]:
    length = len(episode.actions)
    last = np.arange(length) == length - 1
    solved = last & bool(episode.success)
    steps: dict[str, np.ndarray | list[bytes]] = {
        "observation/state": np.asarray(episode.proprio, np.float32),
        "action": np.asarray(episode.actions, np.float32),
        "reward": solved.astype(np.float32),
        "discount": np.ones(length, np.float32),
        "is_first": np.arange(length) == 0,
        "is_last": last,
        "is_terminal": solved,
        "language_instruction": [episode.instruction.encode("utf-8")] * length,
    }
    for camera, frames in episode.frames.items():
        steps[f"observation/{image_key(camera)}"] = [_png(frame) for frame in frames]
    metadata: dict[str, Any] = {
        "episode_id": number,
        "success": bool(episode.success),
        "control_hz": float(episode.control_hz),
        **episode.metadata,
    }
    return {f"steps/{key}": value for key, value in steps.items()} | {
        f"episode_metadata/{key}": _metadata(value) for key, value in metadata.items()
    }


def _metadata(value: str | bool | int | float) -> np.ndarray | list[bytes]:
    return [value.encode("utf-8")] if isinstance(value, str) else np.array([value])


def _png(frame: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG", compress_level=PNG_LEVEL)
    return file.getvalue()
