"""A tiny data set as bytes in memory, what its windows are by the definition, and how to break it.

Three episodes of 3, 1 and 6 steps, 8 x 8 pixels, two cameras, in two shards of 2 and 1 episodes, as
TFRecord and as ArrayRecord. `examples` knows nothing of the reader: it starts from the arrays that
were handed to the writer.
"""

import dataclasses
import functools
import io
import pathlib
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from tests.data.synthetic import episode
from wamjax.core.text import encode_text
from wamjax.data.config import DataConfig
from wamjax.data.files import example, tfrecord
from wamjax.data.writing.rlds import write_rlds

LENGTHS = (3, 1, 6)
PROMISED = (2, 1)
SIDE = 8
CAMERAS = ("image", "wrist_image")
IMAGE_KEYS = tuple(f"steps/observation/{camera}" for camera in CAMERAS)
TEXT_KEY = "steps/language_instruction"
HISTORY, FUTURE, CHUNK, PAST = 2, 2, 3, 2
TEXT_LENGTH = 24

Flat = dict[str, np.ndarray | list[bytes]]
Picture = np.ndarray | None


@dataclasses.dataclass
class Told:
    """An episode as it should come out.

    Attributes:
        frames: of each camera, T pictures [8, 8, 3]; None where it cannot be decoded.
        camera: which cameras there are.
        actions, proprio: float32 [T, 7].
        ended: the last action is undefined.
        texts: T instructions.
    """

    frames: list[list[Picture]]
    camera: list[bool]
    actions: np.ndarray
    proprio: np.ndarray
    ended: bool
    texts: list[str]

    @property
    def length(self) -> int:
        return len(self.actions)

    @property
    def bad_images(self) -> int:
        """Undecodable images that reading every window meets."""
        if self.ended and self.length == 1:
            return 0  # no window, so nobody looks
        rows = zip(self.frames, self.camera, strict=True)
        return sum(picture is None for row, there in rows if there for picture in row)


def told(number: int) -> Told:
    """Episode `number` as it was handed to the writer."""
    made = episode(number, LENGTHS[number], SIDE)
    return Told(
        frames=[list(made.frames["primary"]), list(made.frames["wrist"])],
        camera=[True, True],
        actions=np.asarray(made.actions, np.float32),
        proprio=np.asarray(made.proprio, np.float32),
        ended=True,
        texts=[made.instruction] * LENGTHS[number],
    )


def _shown(row: list[Picture], there: bool, t: int) -> np.ndarray:
    """The picture at t, or the nearest that can be decoded, the earlier first; else black."""
    if there:
        for u in sorted(range(len(row)), key=lambda u: (abs(u - t), u > t)):
            picture = row[u]
            if picture is not None:
                return picture
    return np.zeros((SIDE, SIDE, 3), np.uint8)


def examples(episodes: Sequence[Told]) -> dict[str, np.ndarray]:
    """Every field of every window of `episodes`, one row a window, step by step."""
    rows: list[dict[str, np.ndarray]] = []
    for one in episodes:
        last = one.length - 1
        real = [not (one.ended and t == last) for t in range(one.length)]
        newest = max((t for t in range(one.length) if real[t]), default=0)
        good = [
            all(row[t] is not None or not there for row, there in zip(one.frames, one.camera))
            for t in range(one.length)
        ]
        actions = np.where(np.array(real)[:, None], one.actions, np.float32(0))
        for t in range(one.length):
            if not (any(real[t:]) or t < last):
                continue
            wanted = [t + j for j in range(1 - HISTORY, FUTURE + 1)]
            inside = [min(max(u, 0), last) for u in wanted]
            ahead = [min(t + k, newest) for k in range(CHUNK)]
            back = [max(t - k, 0) for k in range(PAST, 0, -1)]
            seen = [0 <= u <= last and good[v] for u, v in zip(wanted, inside)]
            acted = [t + k <= last and real[t + k] for k in range(CHUNK)]
            before = [t - k >= 0 and real[t - k] for k in range(PAST, 0, -1)]
            frames = [
                [_shown(row, there, u) for u in inside]
                for row, there in zip(one.frames, one.camera, strict=True)
            ]
            rows.append(
                {
                    "frames": np.array(frames, np.uint8),
                    "camera_mask": np.array(one.camera),
                    "frame_mask": np.array(seen),
                    "actions": actions[ahead],
                    "action_mask": np.repeat(np.array(acted)[:, None], 7, 1),
                    "proprio": one.proprio[t],
                    "proprio_mask": np.ones(7, bool),
                    "text": encode_text(one.texts[t], TEXT_LENGTH),
                    "past_actions": actions[back],
                    "past_action_mask": np.repeat(np.array(before)[:, None], 7, 1),
                }
            )
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}


def frame(payload: bytes) -> bytes:
    """A TFRecord around `payload`."""
    length = struct.pack("<Q", len(payload))
    crc = [struct.pack("<I", tfrecord.masked_crc32c(part)) for part in (length, payload)]
    return length + crc[0] + payload + crc[1]


class Small:
    """The data set in one format.

    Attributes:
        directory: what is on disk; tests write into it and call `restore`.
        array_record: whether it is ArrayRecord, or TFRecord.
        payloads: of each shard.
        files: the clean bytes, by name.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        payloads: tuple[tuple[bytes, ...], ...],
        *,
        array_record: bool,
    ):
        self.directory, self.payloads, self.array_record = directory, payloads, array_record
        self.files = {path.name: path.read_bytes() for path in directory.iterdir()}

    def __repr__(self) -> str:
        return "ArrayRecord" if self.array_record else "TFRecord"

    @property
    def shards(self) -> list[str]:
        return sorted(name for name in self.files if "-of-" in name)

    def offset(self, shard: int, index: int) -> int:
        """Where record `index` is said to be."""
        if self.array_record:
            return index
        return sum(len(frame(payload)) for payload in self.payloads[shard][:index])

    def write_shard(self, shard: int, payloads: Sequence[bytes]) -> None:
        path = self.directory / self.shards[shard]
        if not self.array_record:
            path.write_bytes(b"".join(map(frame, payloads)))
            return
        path.unlink()
        writer = ArrayRecordWriter(str(path), "group_size:1")
        for payload in payloads:
            writer.write(payload)
        writer.close()

    def flat(self, number: int) -> Flat:
        """Episode `number` as features, to be changed."""
        return example.decode([p for shard in self.payloads for p in shard][number])

    def restore(self) -> None:
        """The clean files again."""
        for name, data in self.files.items():
            if (self.directory / name).read_bytes() != data:
                (self.directory / name).write_bytes(data)


def config(directory: str, budget: float) -> DataConfig:
    """Windows of all kinds of rows, nothing normalised."""
    return DataConfig(
        dir=directory, cameras=CAMERAS, image_size=SIDE, history=HISTORY, future=FUTURE,
        frame_stride=1, chunk=CHUNK, past_actions=PAST, text_length=TEXT_LENGTH,
        action_norm="identity", proprio_norm="identity", gripper_dim=None, holdout=0.0,
        part="all", bad_budget=budget, prefetch=0,
    )  # fmt: skip


def make(folder: pathlib.Path, *, array_record: bool) -> Small:
    """Write the data set into `folder` and remember its bytes."""
    made = [episode(number, length, SIDE) for number, length in enumerate(LENGTHS)]
    directory = write_rlds(folder, "tiny", "1.0.0", made, shard_episodes=PROMISED[0])
    shards = sorted(directory.glob("*.tfrecord-*"))
    payloads = tuple(
        tuple(r.payload for r in tfrecord.scan(path) if isinstance(r, tfrecord.Record))
        for path in shards
    )
    if array_record:
        info = directory / "dataset_info.json"
        info.write_text(info.read_text().replace('"tfrecord"', '"array_record"'))
        for path in shards:
            path.rename(path.with_name(path.name.replace(".tfrecord-", ".array_record-")))
    small = Small(directory, payloads, array_record=array_record)
    if array_record:
        for shard in range(len(shards)):
            small.write_shard(shard, payloads[shard])
            small.files[small.shards[shard]] = (directory / small.shards[shard]).read_bytes()
    return small


def picture(data: np.ndarray, form: str = "PNG") -> bytes:
    """`data` uint8 [H, W, 3] encoded."""
    file = io.BytesIO()
    Image.fromarray(data).save(file, form)
    return file.getvalue()


@functools.cache
def huge_png(width: int, height: int, *, lies: bool = True) -> bytes:
    """A small PNG that says it is huge, with right checksums; a zip bomb if that is no lie."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    pixels = bytes(300) if lies else bytes(height * (1 + 3 * width))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def decoded(data: bytes) -> np.ndarray:
    """By PIL, resized as the loader promises."""
    opened = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(opened.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
