"""Write episodes as a true RLDS data set in TFDS layout, without TensorFlow.

    <directory>/<name>/<version>/dataset_info.json, features.json,
                                 <name>-<split>.tfrecord-00000-of-0000N

`tfds.builder_from_directory` reads it. A data set is there whole or not at all: it is written
beside its place and renamed at the end. The same episodes give the same bytes. A `Resumable`
source that was interrupted goes on behind the last shard that is whole.
"""

import dataclasses
import itertools
import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_info import get_dataset_info_json
from tensorflow_datasets.core.proto import dataset_info_pb2

from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json
from wamjax.core.records import Episode
from wamjax.data.files import example, tfrecord
from wamjax.data.files.images import encode

PROGRESS = "progress.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resumable:
    """Episodes that can be taken up again.

    Attributes:
        identity: names everything that decides the episodes.
        start: position (JSON; None is the beginning) -> episodes from there on, each with the
            position behind it.
    """

    identity: str
    start: Callable[[Any], Iterator[tuple[Episode, Any]]]


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
    episodes: Iterable[Episode] | Resumable,
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
        episodes: read once, one at a time; all with the same cameras, shapes and metadata. What a
            `Resumable` had written when it was interrupted is kept.
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
    if isinstance(episodes, Resumable):
        identity = f"{episodes.identity} {shard_episodes}"
        if not _belongs(work, identity):
            _emptied(work)
        lengths, size = _write_shards(work, episodes.start, shard_episodes, identity)
    else:
        _emptied(work)
        try:
            lengths, size = _write_shards(work, _unnumbered(episodes), shard_episodes, None)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    _finish(work, name, version, split, description, lengths, size)
    os.rename(work, target)
    return target


def _unnumbered(episodes: Iterable[Episode]) -> Callable[[Any], Iterator[tuple[Episode, Any]]]:
    return lambda _: ((episode, None) for episode in episodes)


def _emptied(work: pathlib.Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)


def _belongs(work: pathlib.Path, identity: str) -> bool:
    """Whether an interrupted data set of the same source is there."""
    path = work / PROGRESS
    return path.is_file() and read_json(path)["identity"] == identity


def _write_shards(
    work: pathlib.Path,
    start: Callable[[Any], Iterator[tuple[Episode, Any]]],
    shard_episodes: int,
    identity: str | None,
) -> tuple[list[int], int]:
    """(episodes per shard, payload bytes); each whole shard is noted when `identity` is given."""
    lengths: list[int] = []
    payload_bytes, position, schema = 0, None, None
    if identity is not None and (work / PROGRESS).is_file():
        noted = read_json(work / PROGRESS)
        lengths, payload_bytes = noted["lengths"], noted["payload_bytes"]
        position, schema = noted["position"], noted["schema"]
    rest = enumerate(start(position), sum(lengths))
    for first in rest:
        with tfrecord.Writer(work / f"shard-{len(lengths):05d}") as writer:
            # A shard is opened by its first episode, so that none is ever empty.
            for number, (episode, behind) in itertools.chain(
                [first], itertools.islice(rest, shard_episodes - 1)
            ):
                _check(episode)
                found = json.loads(json.dumps(_schema(episode)))
                if schema is None:
                    schema = found
                    _features(episode).save_config(str(work))
                elif found != schema:
                    raise ValueError(
                        f"episode {number} has the form {found}, the first one {schema}"
                    )
                writer.write(example.encode(_flat(episode, number)))
                position = behind
        lengths.append(writer.count)
        payload_bytes += writer.payload_bytes
        if identity is not None:
            noted = {
                "identity": identity,
                "lengths": lengths,
                "payload_bytes": payload_bytes,
                "position": position,
                "schema": schema,
            }
            write_json(work / PROGRESS, noted)
    if schema is None:
        raise UserError("There is no episode to write: ask for at least one.")
    return lengths, payload_bytes


def _finish(
    work: pathlib.Path,
    name: str,
    version: str,
    split: str,
    description: str,
    lengths: list[int],
    payload_bytes: int,
) -> None:
    """Give the shards their names and describe the data set."""
    for shard in range(len(lengths)):
        final = f"{name}-{split}.tfrecord-{shard:05d}-of-{len(lengths):05d}"
        if (work / f"shard-{shard:05d}").exists():
            os.rename(work / f"shard-{shard:05d}", work / final)
    wire: Any = dataset_info_pb2
    info = wire.DatasetInfo(
        name=name,
        version=version,
        description=description or f"{name}: episodes in RLDS form.",
        file_format="tfrecord",
        module_name="wamjax.data.writing.rlds",
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
    (work / PROGRESS).unlink(missing_ok=True)


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
        steps[f"observation/{image_key(camera)}"] = [encode(frame, "png", 100) for frame in frames]
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
