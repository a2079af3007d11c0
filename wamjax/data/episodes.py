"""All low-dimensional data of a split in memory, images left on disk: one scan, then arrays.

Steps of all episodes stand one after the other; episode e owns rows starts[e] to starts[e + 1].

Which actions are real: RLDS leaves the action of the step marked `is_last` undefined, so it is
masked. An episode whose last step is not marked was cut short there (octo's Bridge sample: ten
steps of longer episodes), and that step's action is as good as the others.
"""

import dataclasses

import numpy as np

from wamjax.core.errors import UserError
from wamjax.data.config import DataConfig
from wamjax.data.faults import Fault, Ledger
from wamjax.data.images import is_black
from wamjax.data.kinds import open_source
from wamjax.data.pictures import Pictures, Video, is_recorded, read_pictures
from wamjax.data.source import Place, RawEpisode, Skipped, Source

# What may stand before a key: RLDS nests by "/", LeRobot by ".".
KEYS = ("", "observation/", "observation.", "observation.images.")


@dataclasses.dataclass(frozen=True)
class Episodes:
    """E episodes with N steps in all.

    Attributes:
        source: where the images are.
        cameras: full names of the image features (without "steps/").
        places: where each record starts, [E].
        starts: int64 [E + 1], first row of each episode.
        recorded: int64 [N], which recorded step of its episode a row is.
        contents: hash of each episode, [E].
        actions: float32 [N, A], raw; zero where the data have none.
        action_ok: bool [N].
        proprio: float32 [N, P], raw; zero where the data have none.
        text: int32 [N], row of `texts`.
        texts: the different instructions.
        camera_ok: bool [E, V], the camera has a picture.
        ended: bool [E], the last step is the end: it is marked `is_last`, or none ever is.
        solved: bool [E], nothing says that the task was not solved (`episode_metadata/success`).
        faults: what was skipped while scanning.
    """

    source: Source
    cameras: tuple[str, ...]
    places: tuple[Place, ...]
    starts: np.ndarray
    recorded: np.ndarray
    contents: tuple[str, ...]
    actions: np.ndarray
    action_ok: np.ndarray
    proprio: np.ndarray
    text: np.ndarray
    texts: tuple[str, ...]
    camera_ok: np.ndarray
    ended: np.ndarray
    solved: np.ndarray
    faults: Ledger

    def __len__(self) -> int:
        return len(self.places)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, int64 [E]."""
        return np.diff(self.starts)


def find_key(source: Source, key: str, kind: str, setting: str) -> str:
    """The step feature that `key` names, without "steps/".

    Raises:
        UserError: there is none of that kind; the sentence lists those there are.
    """
    for before in KEYS:
        name = before + key
        path = f"steps/{name}"
        if path in source.features and source.features[path].kind == kind:
            return name
    known = ", ".join(
        path.removeprefix("steps/")
        for path, feature in source.features.items()
        if path.startswith("steps/") and feature.kind == kind
    )
    raise UserError(
        f"data.{setting} = {key!r} is no {kind} feature of {source.directory}: choose from {known}."
    )


class _Columns:
    """The arrays being filled."""

    def __init__(self) -> None:
        self.actions: list[np.ndarray] = []
        self.action_ok: list[np.ndarray] = []
        self.proprio: list[np.ndarray] = []
        self.text: list[np.ndarray] = []
        self.texts: dict[str, int] = {}
        self.camera_ok: list[list[bool]] = []
        self.ended: list[bool] = []
        self.solved: list[bool] = []
        self.places: list[Place] = []
        self.contents: list[str] = []
        self.lengths: list[int] = []
        self.recorded: list[np.ndarray] = []


def read_episodes(config: DataConfig) -> Episodes:
    """Scan `config.dir` once: numbers, texts, and the first picture of each camera.

    The directory may hold RLDS, a LeRobot data set or plain videos, see `wamjax.data.kinds`.

    Raises:
        UserError: not readable, a key that does not exist, or more bad data than the budget.
    """
    if not config.dir:
        raise UserError("data.dir is not set: give the directory of a data set.")
    source = open_source(config.dir, config.split)
    cameras = tuple(find_key(source, key, "image", "cameras") for key in config.cameras)
    action = _optional(source, config.action_key, "number", "action_key")
    proprio = _optional(source, config.proprio_key, "number", "proprio_key")
    instruction = _optional(source, config.instruction_key, "text", "instruction_key")
    ledger = Ledger(f"episodes of {source.directory}", len(source), config.bad_budget)
    columns = _Columns()
    for item in source.scan():
        if isinstance(item, Skipped):
            ledger.add(item.fault, item.episodes)
            continue
        problem = _not_finite(item, action, proprio)
        if problem:
            told = source.description
            file = str(told.shards[item.place.shard].path)
            ledger.add(Fault(file, item.place.offset, problem, told.unit))
            continue
        _append(columns, item, action, proprio, instruction)
        columns.camera_ok.append([_has_picture(item.shown(camera)) for camera in cameras])
    if not columns.places:
        raise UserError(f"{source.directory} has no usable episode in split {config.split!r}.")
    return Episodes(
        source=source,
        cameras=cameras,
        places=tuple(columns.places),
        starts=np.concatenate([[0], np.cumsum(columns.lengths)]).astype(np.int64),
        recorded=np.concatenate(columns.recorded).astype(np.int64),
        contents=tuple(columns.contents),
        actions=np.concatenate(columns.actions),
        action_ok=np.concatenate(columns.action_ok),
        proprio=np.concatenate(columns.proprio),
        text=np.concatenate(columns.text),
        texts=tuple(columns.texts),
        camera_ok=np.array(columns.camera_ok, bool),
        ended=np.array(columns.ended, bool),
        solved=np.array(columns.solved, bool),
        faults=ledger,
    )


def _optional(source: Source, key: str | None, kind: str, setting: str) -> str | None:
    return None if key is None else find_key(source, key, kind, setting)


def _numbers(episode: RawEpisode, name: str) -> np.ndarray:
    return np.asarray(episode.steps[name], np.float32).reshape(episode.length, -1)


def _not_finite(episode: RawEpisode, action: str | None, proprio: str | None) -> str:
    for name in (action, proprio):
        if name is None:
            continue
        bad = ~np.isfinite(_numbers(episode, name)).all(axis=1)
        if bad.any():
            return f"steps/{name} is not finite at step {int(bad.argmax())}"
    return ""


def _append(
    columns: _Columns,
    episode: RawEpisode,
    action: str | None,
    proprio: str | None,
    instruction: str | None,
) -> None:
    length = episode.length
    columns.places.append(episode.place)
    columns.contents.append(episode.content())
    columns.lengths.append(length)
    columns.recorded.append(np.arange(length))
    empty = np.zeros((length, 0), np.float32)
    columns.actions.append(empty if action is None else _numbers(episode, action))
    columns.proprio.append(empty if proprio is None else _numbers(episode, proprio))
    ok = np.full(length, action is not None)
    ended = True
    if "is_last" in episode.steps:
        marked = np.asarray(episode.steps["is_last"], bool).reshape(length)
        ok &= ~marked
        ended = bool(marked[-1])
    columns.action_ok.append(ok)
    columns.ended.append(ended)
    columns.solved.append("success" not in episode.metadata or bool(episode.metadata["success"]))
    if instruction is None:
        words = [""] * length
    else:
        told = episode.steps[instruction]
        assert not isinstance(told, Video)
        words = [bytes(t).decode("utf-8", errors="replace") for t in told]
    rows = [columns.texts.setdefault(word, len(columns.texts)) for word in words]
    columns.text.append(np.array(rows, np.int32))


def _has_picture(pictures: Pictures) -> bool:
    """Whether the camera's first readable frame shows anything.

    If none is readable the camera counts as present, so that its frames are counted as bad.
    """
    recorded = [t for t in range(len(pictures)) if is_recorded(pictures, t)]
    for t in recorded:
        (frame,) = read_pictures(pictures, [t])
        if frame is not None:
            return not is_black(frame)
    return bool(recorded)


def image_fault(source: Source, place: Place, camera: str, t: int) -> Fault:
    """The fault of one undecodable image."""
    told = source.description
    problem = f"steps/{camera} at step {t} cannot be decoded"
    return Fault(str(told.shards[place.shard].path), place.offset, problem, told.unit)
