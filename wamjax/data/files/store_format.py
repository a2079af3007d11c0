"""The canonical form of a prepared data set on disk.

    STORE/store.json                      what it is, what it was made from, its files and checksums
    STORE/SPLIT/episodes.npy              one row an episode, see `row_type`
    STORE/SPLIT/metadata.jsonl            one line an episode
    STORE/SPLIT/columns/FEATURE.npy       numbers [N, ...] of all steps, episode after episode
    STORE/SPLIT/texts/FEATURE.npy         uint32 [N], which byte string of the words
    STORE/SPLIT/words.{bin,npy}           the byte strings, and int64 [W + 1] where each begins
    STORE/SPLIT/sizes.npy                 uint32 [N, V], bytes of each image, 0 where it is missing
    STORE/SPLIT/NNNNN.array_record        a shard: one record a step, see `wamjax.data.files.stored`

Numbers are stored as they were recorded; a card is applied when they are read, as for every other
source. Every episode has a checksum (CRC-32) of each of its columns, so that damage costs one
episode and is found where it is; every file has a digest.
"""

import base64
import hashlib
import json
import math
import struct
import urllib.parse
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wamjax.data.files.paths import Location
from wamjax.data.files.schema import Feature

FORMAT = 1
JSON = "store.json"
EPISODES, METADATA, SIZES = "episodes.npy", "metadata.jsonl", "sizes.npy"
WORDS, BEGINS = "words.bin", "words.npy"
RECORDS = "records.array_record"  # of a shard that is being made


def shard_name(number: int) -> str:
    return f"{number:05d}.array_record"


def column_file(kind: str, name: str) -> str:
    """The file of a step feature, below the split; `name` is without "steps/"."""
    folder = "columns" if kind == "number" else "texts"
    return f"{folder}/{urllib.parse.quote(name, safe='')}.npy"


def columns_of(features: dict[str, Feature]) -> dict[str, Feature]:
    """The step features that stand in tables, without "steps/", sorted."""
    return {
        path.removeprefix("steps/"): feature
        for path, feature in sorted(features.items())
        if path.startswith("steps/") and feature.kind in ("number", "text", "packed")
    }


def cameras_of(features: dict[str, Feature]) -> tuple[str, ...]:
    """The image features of the steps, without "steps/", in their order in a record."""
    return tuple(
        path.removeprefix("steps/")
        for path, feature in sorted(features.items())
        if path.startswith("steps/") and feature.kind == "image"
    )


def checked(features: dict[str, Feature]) -> tuple[str, ...]:
    """What each episode has checksums of, in the order of `checks` in its row."""
    return (*columns_of(features), METADATA, SIZES, RECORDS)


def row_type(features: dict[str, Feature]) -> np.dtype:
    """Of the rows of episodes.npy.

    first: number of its first step. length: T. metadata: the byte at which its line begins.
    content: see `RawEpisode.content`, of what it was made from. checks: see `checked`.
    """
    return np.dtype(
        [
            ("first", "<i8"),
            ("length", "<i8"),
            ("metadata", "<i8"),
            ("content", "S32"),
            ("checks", "<u4", (len(checked(features)),)),
        ]
    )


def feature_to_json(feature: Feature) -> list[Any]:
    return [feature.kind, list(feature.shape), feature.dtype]


def feature_from_json(value: list[Any]) -> Feature:
    kind, shape, dtype = value
    return Feature(kind, tuple(shape), dtype)


def check_numbers(values: np.ndarray) -> int:
    """CRC-32 of the numbers of an episode."""
    return zlib.crc32(np.ascontiguousarray(values).tobytes())


def check_texts(ids: np.ndarray, words: Mapping[int, bytes] | Sequence[bytes]) -> int:
    """CRC-32 of the texts of an episode: of each run of equal ones its length and its bytes.

    Args:
        ids: [T], equal where the texts are.
        words: id -> text.
    """
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    check = 0
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(ids)], strict=True):
        word = words[int(ids[start])]
        check = zlib.crc32(struct.pack("<QQ", stop - start, len(word)) + word, check)
    return check


def metadata_line(metadata: dict[str, Any]) -> bytes:
    """One line of JSON; arrays and what JSON has no number for are groups of one kind."""
    coded = {name: _coded(value) for name, value in metadata.items()}
    return json.dumps(coded, allow_nan=False).encode() + b"\n"


def metadata_of(line: bytes) -> dict[str, Any]:
    """The inverse of `metadata_line`.

    Raises:
        ValueError: not such a line.
    """
    try:
        return {name: _decoded(value) for name, value in json.loads(line).items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the metadata cannot be read ({error!r})") from error


def _coded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"dtype": value.dtype.str, "shape": list(value.shape), "data": data}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float(value["float"])
    data = base64.b64decode(value["data"])
    return np.frombuffer(data, np.dtype(value["dtype"])).reshape(value["shape"])


def sealed(table: dict[str, Any]) -> dict[str, Any]:
    """The table of store.json with its own checksum."""
    return {**table, "checksum": _seal(table)}


def is_sealed(table: dict[str, Any]) -> bool:
    """Whether the table is as it was written."""
    if "checksum" not in table:
        return False
    return table["checksum"] == _seal({k: v for k, v in table.items() if k != "checksum"})


def _seal(table: dict[str, Any]) -> str:
    text = json.dumps(table, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def is_store(directory: Location) -> bool:
    return (directory / JSON).is_file()
