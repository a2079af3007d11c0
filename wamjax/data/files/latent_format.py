"""The latents of all windows of a data set, encoded once by a frozen codec, as they lie on disk.

    LATENTS/plan.json       whose frames, which codec, how they are stored
    LATENTS/codec.npz       the weights of the codec by path; absent where it has none
    LATENTS/NNNNN.npy       a shard: [n, W, L, h, w, c], windows NNNNN N ... NNNNN N + n - 1
    LATENTS/NNNNN.rows.npy  one row a window: its checksum, and which of its frames are real
    LATENTS/latents.json    the plan, and digests of all but the shards; written when all is done

The law: training on latents is training on frames. So

- latents belong to windows, not to frames: in a causal codec a latent depends on where its window
  starts. A window's number is its place in the index, which knows neither seed nor epoch;
- `frames` of the plan is all that decides what the codec sees: the files, the cameras that a card
  names, the window plan, and a digest of which recorded step every frame is. What actions mean and
  their statistics do not reach a frame, and may change;
- `codec` of the plan is its kind, its settings and a digest of its weights. The weights lie beside
  the latents, and a run begins with them: so it samples through the codec that it was trained on;
- a frame that could not be decoded was replaced when it was encoded, and is masked as it would be;
- frames are encoded as they are: there is no augmentation behind them.

Shards are whole or absent and hold the same numbers whoever makes them, so that any number of
processes may share them. All windows are held to their checksums when they are read.
"""

import dataclasses
import pathlib
import zlib
from typing import Any, Literal, get_args

import ml_dtypes
import numpy as np

from wamjax.core.config import difference
from wamjax.core.errors import UserError
from wamjax.core.files import read_json
from wamjax.data.files.store_format import is_sealed

FORMAT = 1
JSON, PLAN, WEIGHTS = "latents.json", "plan.json", "codec.npz"
SHARD_BYTES = 2**26
LONGEST = 60  # characters of a value that are told

Stored = Literal["float32", "float16", "bfloat16"]
DTYPES: tuple[Stored, ...] = get_args(Stored)
# As they are delivered, and as NumPy can name them in a file.
NUMBERS: dict[str, np.dtype] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
BITS: dict[str, np.dtype] = {**NUMBERS, "bfloat16": np.dtype("<u2")}


def shard_name(number: int) -> str:
    return f"{number:05d}.npy"


def rows_name(number: int) -> str:
    return f"{number:05d}.rows.npy"


def row_type(frames: int) -> np.dtype:
    """Of NNNNN.rows.npy. check: see `checksum`. frames: bool [T], which of them are real."""
    return np.dtype([("check", "<u4"), ("frames", "?", (frames,))])


def checksum(latents: np.ndarray, frames: np.ndarray) -> int:
    """CRC-32 of a window's latents, as they are stored, and of which of its frames are real."""
    return zlib.crc32(frames.tobytes(), zlib.crc32(latents.tobytes()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentPlan:
    """What is encoded, and how it is stored.

    Attributes:
        frames: all that decides the frames of the windows, plain JSON.
        windows: how many.
        window_frames: T, frames of a window.
        codec: kind, settings and digest of the weights, plain JSON.
        shape: (W, L, h, w, c) of the latents of a window.
        dtype: in which they are stored.
    """

    frames: dict[str, Any]
    windows: int
    window_frames: int
    codec: dict[str, Any]
    shape: tuple[int, ...]
    dtype: Stored = "float32"

    @property
    def window_bytes(self) -> int:
        return int(np.prod(self.shape)) * BITS[self.dtype].itemsize

    @property
    def shard_windows(self) -> int:
        """Windows in each shard but the last."""
        return max(1, SHARD_BYTES // self.window_bytes)

    @property
    def shards(self) -> int:
        return -(-self.windows // self.shard_windows)

    def windows_of(self, shard: int) -> range:
        """The numbers of a shard's windows."""
        first = shard * self.shard_windows
        return range(first, min(first + self.shard_windows, self.windows))

    def to_json(self) -> dict[str, Any]:
        told = dataclasses.asdict(self) | {"shape": list(self.shape)}
        return {"format": FORMAT, **told}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "LatentPlan":
        fields: dict[str, Any] = {f.name: value[f.name] for f in dataclasses.fields(cls)}
        fields["shape"] = tuple(value["shape"])
        return cls(**fields)


def read_table(directory: pathlib.Path) -> dict[str, Any]:
    """What latents.json says.

    Raises:
        UserError: it is not there, was changed, or has another format.
    """
    path = directory / JSON
    if not path.is_file():
        begun = (directory / PLAN).is_file()
        raise UserError(
            f"{directory} holds latents that are not finished: go on with `wamjax data encode`."
            if begun
            else f"{directory} holds no latents: make them with `wamjax data encode`."
        )
    try:
        table = read_json(path)
    except (UserError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not as it was written: {again(path)}.") from error
    if not isinstance(table, dict) or "format" not in table or not is_sealed(table):
        raise UserError(f"{path} is not as it was written: {again(path)}.")
    if table["format"] != FORMAT:
        raise UserError(
            f"{path} has format {table['format']}, and this version reads {FORMAT}: encode anew."
        )
    return table


def again(path: pathlib.Path) -> str:
    """What to do about a damaged file."""
    return f"remove {path.name} and give the same `wamjax data encode` again, which mends it"


def refuse_others(what: str, there: Any, here: Any, do: str) -> None:
    """Refuse what was made of something else, field by field.

    Raises:
        UserError: they differ.
    """
    rows = difference(there, here)
    if not rows:
        return
    # What was set says more than the digests that follow from it.
    rows = sorted(rows, key=lambda row: row[0].endswith(("index", "weights", "windows")))
    told = "; ".join(
        f"{path}: {_short(theirs)} there, {_short(ours)} here" for path, theirs, ours in rows[:4]
    )
    raise UserError(f"{what} ({told}): {do}.")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
