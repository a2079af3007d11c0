"""What a data set says of itself: features.json as a flat table, dataset_info.json as shards.

An RLDS episode is `steps` (a sequence of steps) beside `episode_metadata`; on disk the names are
joined by "/" (steps/observation/image_0). Source: google-research/rlds, tensorflow_datasets.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import tensorflow_datasets as tfds

from wamjax.core.errors import UserError

Kind = Literal["image", "text", "number", "other"]


@dataclasses.dataclass(frozen=True)
class Feature:
    """One leaf of the schema.

    Attributes:
        kind: "other" is what we carry no reader for (nested sequences, audio, packed tensors).
        shape: of one step (of the episode, for metadata).
        dtype: NumPy name.
    """

    kind: Kind
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def width(self) -> int:
        """Numbers a step."""
        return int(np.prod([axis for axis in self.shape if axis is not None], dtype=np.int64))


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file and the number of episodes it promises."""

    path: pathlib.Path
    episodes: int


@dataclasses.dataclass(frozen=True)
class Description:
    """One split of one data set directory.

    Attributes:
        unit: what places in a shard count.
    """

    name: str
    version: str
    file_format: str
    features: dict[str, Feature]
    splits: tuple[str, ...]
    shards: tuple[Shard, ...]
    unit: str = "byte"


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Feature]]:
    features = tfds.features
    shape, dtype = node.shape, node.np_dtype
    if isinstance(node, features.FeaturesDict):
        for name in sorted(node):
            yield from _leaves(node[name], f"{path}/{name}" if path else name)
    elif isinstance(node, features.Dataset) and path == "steps":
        yield from _leaves(node.feature, path)
    elif isinstance(node, features.Image):
        yield path, Feature("image", tuple(shape), np.dtype(dtype).name)
    elif isinstance(node, features.Text):
        yield path, Feature("text", (), "object")
    elif type(node) in (features.Tensor, features.Scalar):
        plain = np.dtype(dtype).kind in "biuf" and None not in shape
        plain = plain and node.to_json_content().encoding == "none"
        yield path, Feature("number" if plain else "other", tuple(shape), np.dtype(dtype).name)
    else:
        yield path, Feature("other", (), "object")


def _require_json(path: pathlib.Path) -> None:
    if not path.is_file():
        raise UserError(
            f"{path.parent} is not an RLDS data set directory ({path.name} is missing): give the "
            "directory that holds dataset_info.json, features.json and the shards."
        )
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): restore it.") from error


def _open(directory: pathlib.Path) -> Any:
    """The tfds DatasetInfo of an RLDS directory, or one sentence why there is none."""
    if not directory.is_dir():
        raise UserError(f"{directory} is not a directory: check the path of the data set.")
    for name in ("dataset_info.json", "features.json"):
        _require_json(directory / name)
    try:
        info = tfds.builder_from_directory(str(directory)).info
        features: Any = info.features
        is_rlds = "steps" in features and isinstance(features["steps"], tfds.features.Dataset)
    except Exception as error:  # whatever a foreign schema makes tfds raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise UserError(
            f"{directory} cannot be read as a TFDS data set ({reason}): restore its JSON files."
        ) from error
    if not is_rlds:
        raise UserError(
            f"{directory} is not RLDS (features.json has no 'steps'): convert it to RLDS first."
        )
    return info


def split_names(directory: pathlib.Path) -> tuple[str, ...]:
    """The splits of an RLDS directory, sorted.

    Raises:
        UserError: missing or not RLDS.
    """
    return tuple(sorted(_open(directory).splits))


def describe(directory: pathlib.Path, split: str) -> Description:
    """Read the two JSON files and find the shards of `split`.

    Raises:
        UserError: missing, not RLDS, no such split, or a shard is missing.
    """
    info = _open(directory)
    if split not in info.splits:
        raise UserError(
            f"{directory} has no split {split!r}: choose one of {', '.join(sorted(info.splits))}."
        )
    found = info.splits[split]
    shards = tuple(
        Shard(pathlib.Path(path), length)
        for path, length in zip(found.filepaths, found.shard_lengths, strict=True)
    )
    for shard in shards:
        if not shard.path.is_file():
            raise UserError(f"{shard.path} is missing: copy the data set again.")
    return Description(
        name=info.name,
        version=str(info.version),
        file_format=str(info.file_format.value),
        features=dict(_leaves(info.features, "")),
        splits=tuple(sorted(info.splits)),
        shards=shards,
    )
