"""One episode on one page: `wamjax data look`. No config is needed, the schema says what there is.

Here is what the page says; the template that draws it stands with those of the other pages.
"""

import dataclasses
import os
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.data.faults import BadRecord
from wamjax.data.looking.animation import Animation, Camera, animate
from wamjax.data.looking.inspect import BOOKKEEPING, SHOWN_WIDTH
from wamjax.data.looking.sparkline import Line, line
from wamjax.data.looking.suspicion import ended_at, suspicions
from wamjax.data.sources.kinds import open_source, split_names
from wamjax.data.sources.source import RawEpisode, Source, is_instruction

PICTURE_BYTES = 3_800_000  # of a page of 5 MB; the rest is left to plots and texts
LONGEST = 400  # characters of a text that are shown


@dataclasses.dataclass(frozen=True)
class Plots:
    """The dimensions of one feature.

    Attributes:
        name: without "steps/".
        lines: one a dimension.
        note: what is not real, or why nothing is drawn.
    """

    name: str
    lines: tuple[Line, ...]
    note: str


def open_episode(
    directory: str | os.PathLike, number: int, split: str | None
) -> tuple[Source, RawEpisode]:
    """Episode `number` of `split`.

    Args:
        directory: the RLDS version directory.
        number: counts from 0 in shard order.
        split: None is "train" if there is one, else the first.

    Raises:
        UserError: no such directory, split or episode, or it cannot be read.
    """
    names = split_names(directory)
    if split is None and not names:
        raise UserError(f"{directory} has no split: restore its dataset_info.json.")
    source = open_source(directory, split or ("train" if "train" in names else names[0]))
    if not 0 <= number < len(source):
        raise UserError(
            f"There is no episode {number} in split {source.split!r} of {directory}: its "
            f"{len(source)} episodes are numbered from 0."
        )
    try:
        return source, source.episode(number)
    except (BadRecord, ValueError) as error:
        where = "" if isinstance(error, BadRecord) else f"{directory}: "
        raise UserError(
            f"Episode {number} cannot be read ({where}{error}): choose another one, or see "
            "`wamjax data inspect` for all that is broken."
        ) from error


def episode_values(
    directory: str | os.PathLike,
    number: int,
    *,
    split: str | None = None,
    picture_bytes: int = PICTURE_BYTES,
) -> dict[str, Any]:
    """What the page of one episode shows.

    Args:
        directory: the RLDS version directory.
        number: counts from 0 in shard order.
        split: None is "train" if there is one, else the first.
        picture_bytes: of all animations together.

    Raises:
        UserError: see `open_episode`.
    """
    source, episode = open_episode(directory, number, split)
    cameras = [name for name in _names(source, "image") if name in episode.steps]
    hz = _rate(episode)
    shown = animate(episode, cameras, hz, picture_bytes)
    ended = ended_at(episode)
    texts = {name: _spans(episode.steps[name]) for name in _names(source, "text")}
    said = [spans for name, spans in texts.items() if is_instruction(name)]
    description = source.description
    return {
        "title": f"{description.name} {description.version}: episode {number} of {source.split}",
        "instruction": _short(said[0][0][1]) if said else "",
        "facts": _facts(source, episode, number, hz, ended),
        "suspicious": suspicions(episode, shown.cameras, ended),
        "texts": [
            {
                "name": name,
                "spans": [(where, _short(text)) for where, text in spans[:8]],
                "more": max(0, len(spans) - 8),
            }
            for name, spans in texts.items()
        ],
        "cameras": [_camera_values(camera, episode.length) for camera in shown.cameras],
        "rhythm": _rhythm(shown, hz),
        "span": _steps(0, episode.length - 1).capitalize(),
        "plots": plots(source, episode, hz, ended),
        "marks": _marks(episode),
        "metadata": [(key, _short(str(value))) for key, value in sorted(episode.metadata.items())],
        "unread": _names(source, "other"),
        "name": description.name,
        "split": source.split,
    }


def _names(source: Source, kind: str) -> list[str]:
    """Step features of a kind, without "steps/"."""
    return [
        path.removeprefix("steps/")
        for path, feature in sorted(source.features.items())
        if path.startswith("steps/") and feature.kind == kind
    ]


def _rate(episode: RawEpisode) -> float | None:
    if "control_hz" not in episode.metadata:
        return None
    value = episode.metadata["control_hz"]
    is_rate = isinstance(value, float | int) and np.isfinite(value) and 0 < value <= 1e4
    return float(value) if is_rate else None


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _spans(values: Any) -> list[tuple[str, str]]:
    """Texts with the steps at which they stand: ("steps 0 to 9", text), neighbours joined."""
    texts = [bytes(value).decode("utf-8", errors="replace") for value in values]
    starts = [t for t in range(len(texts)) if t == 0 or texts[t] != texts[t - 1]]
    ends = [*(start - 1 for start in starts[1:]), len(texts) - 1]
    return [(_steps(first, last), texts[first]) for first, last in zip(starts, ends, strict=True)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _steps(first: int, last: int) -> str:
    return f"step {first}" if first == last else f"steps {first} to {last}"


def _facts(
    source: Source, episode: RawEpisode, number: int, hz: float | None, ended: bool | None
) -> list[tuple[str, str, str]]:
    """(label, value, note)."""
    shard = source.description.shards[episode.place.shard].path.name
    if "success" in episode.metadata:
        solved = "yes" if episode.metadata["success"] else "no"
    else:
        solved = "not recorded"
    match ended:
        case True:
            end = ("marked", "the last action is undefined")
        case False:
            end = ("not marked", "cut short there: the last action counts as real")
        case None:
            end = ("no mark", "the data have no is_last: the last action counts as real")
    return [
        (
            "length",
            _count(episode.length, "step"),
            "" if hz is None else f"{episode.length / hz:.1f} s",
        ),
        ("rate", "not recorded" if hz is None else f"{hz:g} Hz", ""),
        ("solved", solved, ""),
        ("end", end[0], end[1]),
        ("episode", f"{number} of {len(source)}", f"split {source.split}"),
        ("record", f"{source.unit} {episode.place.offset}", shard),
    ]


def _camera_values(camera: Camera, length: int) -> dict[str, Any]:
    notes = []
    if not camera.picture:
        notes.append("shows nothing")
    if camera.width:
        notes.append(f"{camera.width} x {camera.height} recorded")
    if camera.picture and camera.shown != (camera.width, camera.height):
        notes.append(f"{camera.shown[0]} x {camera.shown[1]} here")
    for count, what in ((camera.empty, "empty"), (camera.black, "black")):
        if count:
            notes.append(f"{count} of {length} frames {what}")
    if camera.broken:
        notes.append(f"{len(camera.broken)} of {length} frames unreadable (crossed)")
    return {
        "name": camera.name.removeprefix("observation/"),
        "picture": camera.picture,
        "note": ", ".join(notes),
        "small": max(camera.shown) < 200,
        "ratio": camera.shown,
    }


def _rhythm(shown: Animation, hz: float | None) -> str:
    if not any(camera.picture for camera in shown.cameras):
        return ""
    every = "every step" if shown.every == 1 else f"one step of {shown.every}"
    assumed = " (the rate is not recorded)" if hz is None else ", as recorded"
    return (
        f"{_count(shown.frames, 'frame')}, {every}, played at {shown.hz:g} steps a second{assumed}."
    )


def plots(source: Source, episode: RawEpisode, hz: float | None, ended: bool | None) -> list[Plots]:
    """Every dimension of every number of the steps, actions first, the robot's state next."""
    out = []
    for name in sorted(_names(source, "number"), key=lambda n: ("action" not in n, n)):
        if name in BOOKKEEPING:
            continue
        rows = np.asarray(episode.steps[name], np.float64).reshape(episode.length, -1)
        real = np.ones(episode.length, bool)
        if "action" in name and ended:
            real[-1] = False
        if rows.shape[1] > SHOWN_WIDTH:
            finite = rows[np.isfinite(rows)]
            span = f", {finite.min():.4g} to {finite.max():.4g}" if finite.size else ""
            out.append(Plots(name, (), f"{rows.shape[1]} numbers a step{span}; not drawn"))
            continue
        label = name.removeprefix("observation/")
        lines = tuple(
            line(f"{label} {dim}" if rows.shape[1] > 1 else label, rows[:, dim], real, hz)
            for dim in range(rows.shape[1])
        )
        out.append(Plots(name, lines, "" if real.all() else "ring: undefined on the last step"))
    return out


def _marks(episode: RawEpisode) -> list[tuple[str, str]]:
    """The bookkeeping of the steps in words."""
    out = []
    for name in BOOKKEEPING:
        if name not in episode.steps:
            continue
        values = np.asarray(episode.steps[name], np.float64).ravel()
        if (values == values[0]).all():
            out.append((name, f"always {values[0]:g}"))
            continue
        changed = np.flatnonzero(values)
        where = ", ".join(f"{values[t]:g} at step {t}" for t in changed[:6].tolist())
        rest = len(changed) - 6
        out.append((name, where + (f" and {rest} more" if rest > 0 else "") + ", else 0"))
    return out
