"""What is in a data set, and what looks wrong: `wamjax data inspect`.

Every record is read once; of the images only the first of each camera and episode is decoded.
Nothing is refused here: bad records are listed.
"""

import collections
import dataclasses
import os
from typing import Any

import numpy as np

from wamjax.data.files.images import is_black
from wamjax.data.files.paths import location
from wamjax.data.files.pictures import bytes_of, is_recorded, read_pictures
from wamjax.data.files.schema import Feature
from wamjax.data.files.video import Video
from wamjax.data.normalising.statistics import CONSTANT
from wamjax.data.sources.kinds import open_source, split_names
from wamjax.data.sources.source import RawEpisode, Skipped, Source, is_instruction

BOOKKEEPING = ("reward", "discount", "is_first", "is_last", "is_terminal")
SHOWN_WIDTH = 64  # wider features (embeddings) are named but their dimensions are not listed
STILL = 1e-6


@dataclasses.dataclass
class _Range:
    """Running minimum, maximum and sum of one feature."""

    low: np.ndarray
    high: np.ndarray
    total: np.ndarray
    count: int
    not_finite: int


class _Split:
    """What one scan of one split has found."""

    def __init__(self, source: Source):
        self.source = source
        self.lengths: list[int] = []
        self.contents: list[str] = []
        self.instructions: collections.Counter[str] = collections.Counter()
        self.rates: collections.Counter[float] = collections.Counter()
        self.successes: list[bool] = []
        self.ranges: dict[str, _Range] = {}
        self.black: collections.Counter[str] = collections.Counter()
        self.seen: collections.Counter[str] = collections.Counter()
        self.flags: dict[str, list[bool]] = {}
        self.marks: collections.Counter[str] = collections.Counter()
        self.still = self.still_first = self.acting = 0
        self.sizes: dict[str, tuple[int, int]] = {}
        self.image_bytes: collections.Counter[str] = collections.Counter()
        self.video_bytes = 0
        self.faults: list[str] = []
        for item in source.scan():
            if isinstance(item, Skipped):
                self.faults.append(f"{item.fault} ({item.episodes} episodes)")
            else:
                self._add(item)

    def _add(self, episode: RawEpisode) -> None:
        self.lengths.append(episode.length)
        self.contents.append(episode.content())
        for key, value in episode.metadata.items():
            if key.startswith("has_") and isinstance(value, bool):
                self.flags.setdefault(key, []).append(value)
            elif key == "control_hz" and isinstance(value, float | int):
                self.rates[round(float(value), 3)] += 1
            elif key == "success" and isinstance(value, bool):
                self.successes.append(value)
        for name, value in episode.steps.items():
            feature = self.source.features[f"steps/{name}"]
            if isinstance(value, np.ndarray):
                self._add_numbers(name, value.reshape(episode.length, -1).astype(np.float64))
            elif feature.kind == "image":
                self._add_images(name, episode)
            elif isinstance(value, list) and is_instruction(name):
                self.instructions.update({bytes(t).decode("utf-8", "replace") for t in value})
        self._add_marks(episode)

    def _add_numbers(self, name: str, rows: np.ndarray) -> None:
        finite = np.isfinite(rows).all(axis=1)
        if name not in self.ranges:
            width = rows.shape[1]
            self.ranges[name] = _Range(
                np.full(width, np.inf), np.full(width, -np.inf), np.zeros(width), 0, 0
            )
        known = self.ranges[name]
        known.not_finite += int((~finite).sum())
        good = rows[finite]
        if len(good):
            known.low = np.minimum(known.low, good.min(axis=0))
            known.high = np.maximum(known.high, good.max(axis=0))
            known.total += good.sum(axis=0)
            known.count += len(good)

    def _add_images(self, name: str, episode: RawEpisode) -> None:
        pictures = episode.shown(name)
        self.seen[name] += 1
        self.image_bytes[name] += bytes_of(pictures)
        self.video_bytes += bytes_of(pictures) if isinstance(pictures, Video) else 0
        if not is_recorded(pictures, 0):
            self.black[name] += 1
            return
        (frame,) = read_pictures(pictures, [0])
        if frame is None:
            problem = f"steps/{name}: the image cannot be decoded"
            self.faults.append(str(self.source.fault(episode.place, problem)))
            return
        self.sizes[name] = (frame.shape[0], frame.shape[1])
        self.black[name] += is_black(frame)

    def _add_marks(self, episode: RawEpisode) -> None:
        steps = episode.steps
        for name in ("is_first", "is_last", "is_terminal"):
            if name in steps:
                self.marks[name] += bool(np.any(np.asarray(steps[name])))
        if "is_first" in steps:
            self.marks["first_on_first"] += bool(np.asarray(steps["is_first"]).ravel()[0])
        if "action" not in steps:
            return
        actions = np.asarray(steps["action"], np.float64).reshape(episode.length, -1)
        ended = "is_last" in steps and bool(np.asarray(steps["is_last"]).ravel()[-1])
        actions = actions[:-1] if ended else actions
        # The last dimension is the gripper, which holds its command while the arm is still.
        moving = actions[:, :-1] if actions.shape[1] > 1 else actions
        still = np.asarray((np.abs(moving) < STILL).all(axis=1))
        self.acting += len(still)
        self.still += int(still.sum())
        self.still_first += bool(len(still) and still[0])

    def summary(self) -> dict[str, Any]:
        lengths = np.array(self.lengths or [0])
        steps = int(sum(self.lengths))
        return {
            "episodes": len(self.lengths),
            "promised_episodes": len(self.source),
            "steps": steps,
            "shards": len(self.source.description.shards),
            "bytes": self._bytes(),
            "length": {
                "min": int(lengths.min()),
                "median": float(np.median(lengths)),
                "max": int(lengths.max()),
            },
            "control_hz": sorted(self.rates),
            "success_rate": float(np.mean(self.successes)) if self.successes else None,
            "instructions": dict(self.instructions.most_common(20)),
            "different_instructions": len(self.instructions),
            "cameras": {
                name: {
                    "size": list(self.sizes[name]) if name in self.sizes else None,
                    "episodes_with_picture": self.seen[name] - self.black[name],
                    "bytes_per_frame": round(self.image_bytes[name] / max(steps, 1)),
                }
                for name in sorted(self.seen)
            },
            "numbers": {
                name: {
                    "min": _listed(found.low),
                    "max": _listed(found.high),
                    "mean": _listed(found.total / max(found.count, 1)),
                }
                for name, found in sorted(self.ranges.items())
                if found.low.size <= SHOWN_WIDTH and found.count
            },
            "faults": self.faults,
        }

    def _bytes(self) -> int:
        """Of the shards and of the videos beside them."""
        told = self.source.description
        stored = told.file_format != "video"
        shards = sum(shard.path.stat().st_size for shard in told.shards) if stored else 0
        return shards + self.video_bytes

    def suspicions(self) -> list[str]:
        out = self.source.notes()
        total = len(self.lengths)
        for name in sorted(self.seen):
            if self.black[name] == total:
                out.append(f"{name} shows nothing in any episode: a missing camera")
            elif self.black[name]:
                out.append(f"{name} shows nothing in {self.black[name]} of {total} episodes")
        out += self._flag_suspicions()
        for name, found in sorted(self.ranges.items()):
            if found.not_finite:
                out.append(f"{name} has {found.not_finite} steps with NaN or infinity")
            if name in BOOKKEEPING or not found.count or found.low.size > SHOWN_WIDTH:
                continue
            constant = np.flatnonzero(found.high - found.low < CONSTANT).tolist()
            if constant:
                out.append(f"{name} is constant in dimensions {constant} of {found.low.size}")
        if self.still:
            out.append(
                f"{self.still} of {self.acting} actions are zero in all but the last dimension"
                + (
                    f", {self.still_first} of them on the first step of an episode"
                    if self.still_first
                    else ""
                )
            )
        for name in ("is_first", "is_last"):
            if total and f"steps/{name}" in self.source.features and not self.marks[name]:
                out.append(
                    f"{name} is never set"
                    + (
                        ": episodes were cut short, so their last action is taken as real"
                        if name == "is_last"
                        else ""
                    )
                )
        if self.marks["is_first"] and self.marks["first_on_first"] < total:
            out.append(f"{total - self.marks['first_on_first']} episodes do not begin at is_first")
        if "reward" in self.ranges:
            reward = self.ranges["reward"]
            if reward.count and not reward.high.any() and not reward.low.any():
                out.append("reward is always zero")
        if self.instructions[""]:
            out.append(f"{self.instructions['']} of {total} episodes have an empty instruction")
        copies = len(self.contents) - len(set(self.contents))
        if copies:
            out.append(f"{copies} episodes are copies of others in the same split")
        short = sum(length < 2 for length in self.lengths)
        if short:
            out.append(f"{short} episodes have fewer than two steps")
        if self.faults:
            out.append(f"{len(self.faults)} records or images cannot be read, see faults")
        return out

    def _flag_suspicions(self) -> list[str]:
        out = []
        for flag, values in sorted(self.flags.items()):
            camera = f"observation/{flag.removeprefix('has_')}"
            if camera not in self.seen:
                continue
            pictures = self.seen[camera] - self.black[camera]
            claimed = sum(values)
            if pictures != claimed:
                out.append(
                    f"episode_metadata/{flag} is true in {claimed} episodes but {camera} has a "
                    f"picture in {pictures}: do not trust the flag"
                )
        return out


def _listed(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def report(directory: str | os.PathLike) -> dict[str, Any]:
    """Everything worth knowing about an RLDS directory, as plain JSON.

    Args:
        directory: the version directory.

    Raises:
        UserError: it is not an RLDS directory, or a shard is missing.
    """
    path = location(directory)
    first = open_source(path, split_names(path)[0])
    splits = {name: _Split(open_source(path, name)) for name in first.description.splits}
    suspicious = [
        f"{name}: {text}" for name, split in splits.items() for text in split.suspicions()
    ]
    names = sorted(splits)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            shared = set(splits[one].contents) & set(splits[other].contents)
            if shared:
                suspicious.append(
                    f"{one} and {other} share {len(shared)} episodes "
                    f"({len(splits[one].contents)} and {len(splits[other].contents)} in all): "
                    "hold episodes out by their hash, not by split"
                )
    return {
        "directory": str(path),
        "name": first.description.name,
        "version": first.description.version,
        "format": first.description.file_format,
        "features": {name: _feature(f) for name, f in first.features.items()},
        "splits": {name: split.summary() for name, split in splits.items()},
        "suspicious": suspicious,
    }


def _feature(feature: Feature) -> str:
    shape = ", ".join("?" if axis is None else str(axis) for axis in feature.shape)
    return f"{feature.kind} {feature.dtype}[{shape}]"


def report_text(found: dict[str, Any]) -> str:
    """`report` as lines for a terminal."""
    lines = [f"{found['name']} {found['version']} ({found['format']})  {found['directory']}", ""]
    width = max(map(len, found["features"]))
    lines += ["features"] + [f"  {n.ljust(width)}  {t}" for n, t in found["features"].items()]
    for name, split in found["splits"].items():
        length = split["length"]
        rates = ", ".join(f"{rate:g} Hz" for rate in split["control_hz"]) or "rate not recorded"
        lines += [
            "",
            f"split {name}: {split['episodes']} episodes, {split['steps']} steps, "
            f"{split['bytes'] / 1e6:.1f} MB in {split['shards']} shards",
            f"  length     {length['min']} to {length['max']} steps, median {length['median']:g}",
            f"  control    {rates}",
        ]
        if split["success_rate"] is not None:
            lines.append(f"  success    {100 * split['success_rate']:.1f} %")
        for camera, seen in split["cameras"].items():
            size = "no picture" if seen["size"] is None else "x".join(map(str, seen["size"]))
            lines.append(
                f"  camera     {camera}: {size}, pictures in {seen['episodes_with_picture']} of "
                f"{split['episodes']} episodes, {seen['bytes_per_frame']} bytes a frame"
            )
        lines.append(f"  language   {split['different_instructions']} different instructions")
        lines += [f"             {n} x {t!r}" for t, n in list(split["instructions"].items())[:5]]
        for key, number in split["numbers"].items():
            if key not in BOOKKEEPING:
                lines.append(f"  {key}")
                lines += [f"    {what}  {number[what]}" for what in ("min", "max", "mean")]
        lines += [f"  fault      {fault}" for fault in split["faults"]]
    lines += ["", "suspicious"] + [f"  - {text}" for text in found["suspicious"] or ["nothing"]]
    return "\n".join(lines)
