"""All low-dimensional data of a split in memory, images left on disk: one scan, then arrays.

Steps of all episodes stand one after the other; episode e owns rows starts[e] to starts[e + 1].
"""

import dataclasses
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.data.cards.card import Card
from wamjax.data.cards.prepared import Prepared
from wamjax.data.cards.reading import reading_of
from wamjax.data.config import DataConfig
from wamjax.data.faults import Fault, Ledger
from wamjax.data.files.images import is_black
from wamjax.data.files.pictures import Pictures, is_recorded, read_pictures
from wamjax.data.sources.kinds import open_source
from wamjax.data.sources.source import Place, RawEpisode, Skipped, Source


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
        text: int32 [N, C], rows of `texts`: what each of C columns of instructions says.
        texts: the different instructions; "" is none.
        camera_ok: bool [E, V], the camera has a picture.
        ended: bool [E], the last step is the end: it is marked `is_last`, or none ever is.
        solved: bool [E], nothing says that the task was not solved (`episode_metadata/success`).
        faults: what was skipped while scanning.
        card, card_table: what the data set's card says, read and as it is written; None without.
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
    card: Card | None = None
    card_table: dict[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.places)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, int64 [E]."""
        return np.diff(self.starts)


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
        self.recorded: list[np.ndarray] = []


def read_episodes(config: DataConfig) -> Episodes:
    """Scan `config.dir` once: numbers, texts, and the first picture of each camera.

    The directory may hold RLDS, a LeRobot data set, plain videos or a store, see
    `wamjax.data.sources.kinds`.

    Raises:
        UserError: not readable, a key that does not exist, or more bad data than the budget.
    """
    if not config.dir:
        raise UserError("data.dir is not set: give the directory of a data set.")
    source = open_source(config.dir, config.split)
    reading = reading_of(config, source)
    ledger = Ledger(f"episodes of {source.directory}", len(source), config.bad_budget)
    columns, left_out = _Columns(), 0
    for item in source.scan():
        if isinstance(item, Skipped):
            ledger.add(item.fault, item.episodes)
            continue
        try:
            made = reading.prepare(item)
        except ValueError as error:
            ledger.add(source.fault(item.place, str(error)))
            continue
        if config.only_solved and not _solved(item):
            left_out += 1
            continue
        _append(columns, item, made)
        columns.camera_ok.append([_has_picture(item.shown(key)) for key in reading.cameras])
    if not columns.places and left_out:
        raise UserError(
            f"None of the {left_out} episodes of {source.directory} is said to be solved: leave "
            "data.only_solved out."
        )
    if not columns.places:
        raise UserError(
            f"{source.counted_in} promises no episode in split {config.split!r}: choose another "
            "split, or restore the file."
        )
    lengths = [len(kept) for kept in columns.recorded]
    return Episodes(
        source=source,
        cameras=reading.cameras,
        places=tuple(columns.places),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
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
        card=reading.card,
        card_table=reading.table,
    )


def _append(columns: _Columns, episode: RawEpisode, made: Prepared) -> None:
    columns.places.append(episode.place)
    columns.contents.append(episode.content())
    columns.recorded.append(made.kept)
    columns.actions.append(made.actions)
    columns.proprio.append(made.proprio)
    columns.action_ok.append(made.action_ok)
    marked = "is_last" not in episode.steps or bool(
        np.asarray(episode.steps["is_last"]).ravel()[-1]
    )
    columns.ended.append(marked)
    columns.solved.append(_solved(episode))
    rows = [
        [columns.texts.setdefault(words, len(columns.texts)) for words in column]
        for column in made.texts
    ]
    columns.text.append(np.array(rows, np.int32).T)


def _solved(episode: RawEpisode) -> bool:
    """Whether nothing says that the task was not solved."""
    return "success" not in episode.metadata or bool(episode.metadata["success"])


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
    return source.fault(place, f"steps/{camera} at step {t} cannot be decoded")
