"""What a data set says of itself: features.json as a flat table, dataset_info.json as shards.

An RLDS episode is `steps` (a sequence of steps) beside `episode_metadata`; on disk the names are
joined by "/" (steps/observation/image_0). Source: google-research/rlds, tensorflow_datasets.
"""

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import tensorflow_datasets as tfds

from wamjax.core.errors import UserError
from wamjax.data.files.paths import Location, at_hand

OURS = "tensorflow_datasets."
Kind = Literal["image", "text", "number", "packed", "other"]


@dataclasses.dataclass(frozen=True)
class Feature:
    """One leaf of the schema.

    Attributes:
        kind: "packed" is a tensor stored as bytes (zlib) at each step; "other" is what we carry no
            reader for (nested sequences, audio).
        shape: of one step (of the episode, for metadata).
        dtype: NumPy name.
    """

    kind: Kind
    shape: tuple[int | None, ...]
    dtype: str

    @property
    def width(self) -> int:
        """Numbers a step."""
        return math.prod(axis for axis in self.shape if axis is not None)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file and the number of episodes it promises."""

    path: Location
    episodes: int


@dataclasses.dataclass(frozen=True)
class Description:
    """One split of one data set directory."""

    name: str
    version: str
    file_format: str
    features: dict[str, Feature]
    splits: tuple[str, ...]
    shards: tuple[Shard, ...]

    def chosen(self, shards: Iterable[int] | None) -> Iterable[int]:
        """Numbers of shards; None is all of them."""
        return range(len(self.shards)) if shards is None else shards


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
        yield path, Feature(_tensor_kind(node), tuple(shape), np.dtype(dtype).name)
    else:
        yield path, Feature("other", (), "object")


def _tensor_kind(node: Any) -> Kind:
    plain = node.to_json_content().encoding == "none"
    if np.dtype(node.np_dtype).kind in "biuf" and None not in node.shape:
        return "number" if plain else "packed"
    # Open X-Embodiment writes most instructions as tensors of one string.
    string = np.dtype(node.np_dtype).kind == "O"
    return "text" if plain and string and not node.shape else "other"


def _require_json(path: Location) -> Any:
    if not path.is_file():
        raise UserError(
            f"{path.parent} is not an RLDS data set directory ({path.name} is missing): give the "
            "directory that holds dataset_info.json, features.json and the shards."
        )
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({_reason(error)}): restore it.") from error


def _require_known(path: Location, node: Any) -> None:
    """Refuse a schema for which tfds would import modules of the file's choice, or TensorFlow."""
    if not isinstance(node, dict):
        return
    if "pythonClassName" in node and not str(node["pythonClassName"]).startswith(OURS):
        raise UserError(
            f"{path} names the class {str(node['pythonClassName'])[:80]!r}, which is none of "
            "tensorflow_datasets: restore it, or write the data set anew with its own features."
        )
    for kind, content in node.items():
        if not isinstance(content, dict):
            continue
        if kind in ("tensor", "image") and not ("dtype" in content and _is_dtype(content["dtype"])):
            raise UserError(f"{path} has a {kind} without a dtype of NumPy: restore it.")
        if "feature" in content:
            _require_known(path, content["feature"])
        if "features" in content and isinstance(content["features"], dict):
            for child in content["features"].values():
                _require_known(path, child)


def _is_dtype(name: Any) -> bool:
    if not isinstance(name, str) or not name:
        return False
    try:
        np.dtype("object" if name == "string" else name)
    except TypeError:
        return False
    return True


def _reason(error: Exception) -> str:
    """The first line, not longer than a sentence may be."""
    text = str(error).strip() or repr(error)
    return text.splitlines()[0][:200].rstrip(" .:")


@contextlib.contextmanager
def _foreign(directory: Location) -> Iterator[None]:
    """Whatever a damaged or foreign schema makes tfds raise, as one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{directory} cannot be read as a TFDS data set ({_reason(error)}): restore its "
            "dataset_info.json and features.json."
        ) from error


def _open(directory: Location) -> Any:
    """The tfds DatasetInfo of an RLDS directory, or one sentence why there is none."""
    if not directory.is_dir():
        raise UserError(f"{directory} is not a directory: check the path of the data set.")
    _require_json(directory / "dataset_info.json")
    features_json = directory / "features.json"
    schema = _require_json(features_json)
    with _foreign(directory):
        _require_known(features_json, schema)
        with at_hand(directory, (".json", ".txt")) as here:
            info = tfds.builder_from_directory(str(here)).info
        features: Any = info.features
        is_rlds = "steps" in features and isinstance(features["steps"], tfds.features.Dataset)
    if not is_rlds:
        raise UserError(
            f"{directory} is not RLDS (features.json has no 'steps'): convert it to RLDS first."
        )
    return info


def split_names(directory: Location) -> tuple[str, ...]:
    """The splits of an RLDS directory, sorted.

    Raises:
        UserError: missing or not RLDS.
    """
    return tuple(sorted(_open(directory).splits))


def describe(directory: Location, split: str) -> Description:
    """Read the two JSON files and find the shards of `split`.

    Raises:
        UserError: missing, not RLDS, no such split, or a shard is missing.
    """
    info = _open(directory)
    if split not in info.splits:
        raise UserError(
            f"{directory / 'dataset_info.json'} has no split {split!r}: choose one of "
            f"{', '.join(sorted(info.splits))}."
        )
    with _foreign(directory):
        found = info.splits[split]
        shards = tuple(
            Shard(directory / path.name, length)
            for path, length in zip(found.filepaths, found.shard_lengths, strict=True)
        )
        described = Description(
            name=info.name,
            version=str(info.version),
            file_format=str(info.file_format.value),
            features=dict(_leaves(info.features, "")),
            splits=tuple(sorted(info.splits)),
            shards=shards,
        )
    for shard in shards:
        if shard.episodes < 0:
            raise UserError(
                f"{directory / 'dataset_info.json'} promises {shard.episodes} episodes in "
                f"{shard.path.name}: restore it."
            )
        if not shard.path.name.isprintable():
            raise UserError(
                f"{directory / 'dataset_info.json'} names the file {shard.path.name!r}: restore it."
            )
        if not shard.path.is_file():
            raise UserError(
                f"{shard.path} is missing, which dataset_info.json names: copy the data set again."
            )
    return described
