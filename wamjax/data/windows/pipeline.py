"""Episodes to batches: window numbers, permuted, cut among hosts, batched, then read.

The stream of examples is one endless order of windows. Step k of a run with global batch B takes
examples k B .. (k + 1) B - 1, whatever the number of hosts; host h of H reads the h-th of H equal
runs of them, which is where a batch sharded over hosts wants them. The state is the one integer
k B and a fingerprint of all that the order depends on.
"""

import dataclasses
import hashlib
import json
import typing
from collections.abc import Iterator
from typing import Any, Protocol

import grain
import numpy as np

from wamjax.core.config import difference
from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.core.text import encode_text
from wamjax.data.cards.reading import relative_by
from wamjax.data.config import DataConfig
from wamjax.data.episodes import Episodes, read_episodes
from wamjax.data.normalising.normalise import Normaliser, action_normaliser, proprio_normaliser
from wamjax.data.normalising.statistics import Statistics, check_statistics, data_fingerprint
from wamjax.data.split import members
from wamjax.data.windows.chunks import Chunks, normalised
from wamjax.data.windows.frames import FrameStore
from wamjax.data.windows.goals import goal_rows
from wamjax.data.windows.idle import moving_windows
from wamjax.data.windows.instructions import instruction_of
from wamjax.data.windows.order import Batches, Order, shuffled
from wamjax.data.windows.windows import (
    Plan,
    action_rows,
    frame_rows,
    make_index,
    next_rows,
    past_action_rows,
)

# What the order and the content of batches depend on, beside the files.
DECISIVE = (
    "split", "cameras", "proprio_key", "action_key", "instruction_key", "image_size", "history",
    "future", "frame_stride", "chunk", "text_length", "action_norm", "proprio_norm",
    "gripper_dim", "action_width", "proprio_width", "holdout", "part", "seed",
)  # fmt: skip
# Settings that came later: named only where they are set, so that states from before stay valid.
LATER = (
    "history_stride", "past_actions", "value_discount", "every", "only_solved", "idle", "relative",
    "goal", "action_share",
)  # fmt: skip
UNSET = {field.name: field.default for field in dataclasses.fields(DataConfig)}
# Groups of a fingerprint that follow from the rest of it.
FOLLOWS = {"action", "proprio"}
# Characters of a value that are told.
LONGEST = 60
# What decides the frames of windows, beside the files; the rest is told by a digest of the index.
SEEN = (
    "split", "cameras", "image_size", "history", "future", "frame_stride", "history_stride",
    "every", "only_solved", "holdout", "part",
)  # fmt: skip


class Windows:
    """All windows of one part, read by number.

    Args:
        config: which data and windows.
        statistics: of these data.
        episodes: the scanned data, if they are at hand.

    Raises:
        UserError: unreadable data, statistics of other data, or no window in this part.
    """

    def __init__(
        self, config: DataConfig, statistics: Statistics, episodes: Episodes | None = None
    ):
        self.config, self.statistics = config, statistics
        self.episodes = read_episodes(config) if episodes is None else episodes
        self.relative = relative_by(config, self.episodes.card)
        check_statistics(statistics, data_fingerprint(self.episodes, config), "use")
        try:
            self.action_normaliser: Normaliser = action_normaliser(statistics, config)
            self.proprio_normaliser: Normaliser = proprio_normaliser(statistics, config)
        except ValueError as error:
            raise UserError(f"data: {error}; correct the config.") from error
        self.plan = Plan.of(config)
        chosen = members(list(self.episodes.contents), config.holdout, config.part)
        self.index = make_index(self.episodes.starts, self.episodes.action_ok, chosen, self.plan)
        if not len(self.index):
            raise UserError(
                f"{self.episodes.source.directory} has no window in part {config.part!r} "
                f"({int(chosen.sum())} of {len(chosen)} episodes): change data.holdout."
            )
        if config.value_discount and not self.episodes.ended[self.index.episode].any():
            raise UserError(
                f"{self.episodes.source.directory} does not say where episodes end (no step is "
                "marked is_last), so that nothing has a value: leave data.value_discount out."
            )
        self.left_out = 0
        if config.idle is not None:
            kept = moving_windows(self.index, self.plan, self.episodes, statistics, config.idle)
            self.left_out = int((~kept).sum())
            if self.left_out == len(self.index):
                raise UserError(
                    f"Nothing moves in any of the {self.left_out} windows of part {config.part!r} "
                    f"of {self.episodes.source.directory} (data.idle = {config.idle:g}): lower it."
                )
            self.index = self.index.only(kept)
        self.frames = FrameStore(
            self.episodes,
            config.image_size,
            config.cache_bytes,
            config.bad_budget,
            config.workers,
        )
        self.chunks = Chunks(self.episodes, self.action_normaliser, self.relative)
        self.proprio = normalised(self.proprio_normaliser, self.episodes.proprio, None)
        self.texts = np.stack([encode_text(t, config.text_length) for t in self.episodes.texts])
        self.said = instruction_of(self.episodes, config.seed)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def widths(self) -> tuple[int, int]:
        """Numbers of an action and of a state, padding included."""
        return len(np.asarray(self.action_normaliser.mask)), self.proprio.shape[-1]

    def told(self) -> list[str]:
        """How many windows there are, where some were left out, and what else is hidden."""
        lines, config = [], self.config
        if config.idle is not None:
            lines.append(
                f"{len(self)} windows; {self.left_out} in which nothing moves are left out "
                f"(data.idle = {config.idle:g})"
            )
        if config.action_share < 1.0:
            ok = np.logical_or.reduceat(self.episodes.action_ok, self.episodes.starts[:-1])
            acted = ok[np.unique(self.index.episode)]
            lines.append(
                f"{int(acted.sum())} of {len(acted)} episodes show their actions "
                f"(data.action_share = {config.action_share:g})"
            )
        return lines

    def order(self) -> Order:
        """The endless stream of windows."""
        return shuffled(len(self), self.config.seed)

    def batch(self, windows: np.ndarray, places: tuple[int, ...] | None = None) -> Batch:
        """See `Numbered`."""
        real = windows >= 0
        chosen = np.where(real, windows, 0).astype(np.int64)
        rows, inside = frame_rows(self.index, chosen, self.plan)
        shown = rows if places is None else rows[:, list(places)]
        frames, _ = self.frames.gather(shown, self.index.episode[chosen])
        good = self.frames.good[rows]
        taken, recorded = action_rows(self.index, chosen, self.plan, self.episodes.action_ok)
        now = self.index.row[chosen]
        recorded &= real[:, None]
        return Batch(
            frames=frames,
            camera_mask=self.episodes.camera_ok[self.index.episode[chosen]] & real[:, None],
            frame_mask=inside & good & real[:, None],
            actions=self.chunks.told(taken, now),
            action_mask=recorded[:, :, None] & self.action_normaliser.mask,
            proprio=self.proprio[now],
            proprio_mask=real[:, None] & self.proprio_normaliser.mask,
            text=self.texts[self.said[now]],
            index=windows.astype(np.int32),
            **self._past(chosen, real),
            **self._next(chosen, real),
            **self._goal(chosen, real),
        )

    def _past(self, chosen: np.ndarray, real: np.ndarray) -> dict[str, np.ndarray]:
        if not self.plan.past_actions:
            return {}
        rows, there = past_action_rows(self.index, chosen, self.plan, self.episodes.action_ok)
        there &= real[:, None]
        mask = there[:, :, None] & self.action_normaliser.mask
        now = self.index.row[chosen]
        return {"past_actions": self.chunks.told(rows, now), "past_action_mask": mask}

    def recorded_actions(self, windows: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Normalised actions [B, K, A] of these windows, as they would have been recorded."""
        return self.chunks.recorded(actions, self.index.row[windows])

    def _next(self, chosen: np.ndarray, real: np.ndarray) -> dict[str, np.ndarray]:
        discount = self.config.value_discount
        if discount is None:
            return {}
        rows, inside = next_rows(self.index, chosen, self.plan)
        episode = self.index.episode[chosen]
        value = np.float32(discount) ** (self.index.last[chosen] - rows)
        return {
            "next_proprio": self.proprio[rows],
            "next_proprio_mask": (inside & real)[:, None] & self.proprio_normaliser.mask,
            "value": np.where(self.episodes.solved[episode], value, 0.0).astype(np.float32),
            "value_mask": self.episodes.ended[episode] & real,
        }

    def _goal(self, chosen: np.ndarray, real: np.ndarray) -> dict[str, np.ndarray]:
        goal, episode = self.config.goal, self.index.episode[chosen]
        if goal == "none":
            return {}
        rows = goal_rows(self.index, chosen, goal, self.config.seed)
        frames, good = self.frames.gather(rows[:, None], episode)
        return {
            "goal": frames[:, :, 0],
            "goal_mask": self.episodes.camera_ok[episode] & (good & real[:, None]),
        }

    def previous_actions(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The action before each window's first: normalised float32 [B, A], bool [B] recorded.

        Where actions are told relative to states, it is told from the window's own, like the rest.
        """
        row = self.index.row[windows]
        exists = row > self.index.first[windows]
        before = np.where(exists, row - 1, row)
        told = self.chunks.told(before[:, None], row)[:, 0]
        return told, exists & self.episodes.action_ok[before]

    def seen(self) -> dict[str, Any]:
        """See `Numbered`."""
        config = json.loads(json.dumps(dataclasses.asdict(self.config)))
        episodes, index = self.episodes, self.index
        found = hashlib.blake2b(digest_size=16)
        used = np.unique(index.episode)
        # Every frame is a step between the first and the last of its window's episode.
        for numbers in (
            episodes.recorded[index.row],
            np.searchsorted(used, index.episode),
            episodes.lengths[used],
            *(
                episodes.recorded[episodes.starts[number] : episodes.starts[number + 1]]
                for number in used.tolist()
            ),
        ):
            found.update(np.ascontiguousarray(numbers, "<i8").tobytes())
        found.update("".join(episodes.contents[number] for number in used.tolist()).encode())
        return {
            "data": episodes.source.fingerprint(),
            **{name: config[name] for name in SEEN},
            "keys": list(episodes.cameras),
            "index": found.hexdigest(),
        }

    def fingerprint(self) -> dict[str, Any]:
        """All that decides the windows, their order and their numbers."""
        config = dataclasses.asdict(self.config)
        decisive = (*DECISIVE, *(name for name in LATER if config[name] != UNSET[name]))
        return {
            "data": self.episodes.source.fingerprint(),
            "config": {
                name: list(config[name]) if isinstance(config[name], tuple) else config[name]
                for name in decisive
            },
            "windows": len(self),
            **({} if self.episodes.card is None else {"card": self.episodes.card_table}),
            "action": self.action_normaliser.to_json(),
            "proprio": self.proprio_normaliser.to_json(),
        }


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


class Numbered(Protocol):
    """Windows by number: of one data set (`Windows`) or of several (`Mixture`)."""

    config: DataConfig

    def __len__(self) -> int: ...

    def order(self) -> Order:
        """The endless stream of windows."""
        ...

    def batch(self, windows: np.ndarray, places: tuple[int, ...] | None = None) -> Batch:
        """The examples `windows`, int64 [B]; -1 gives an example whose masks are all False.

        Args:
            windows: their numbers.
            places: of the frames of a window that are read; None for all of them.
        """
        ...

    def seen(self) -> dict[str, Any]:
        """All that decides the frames of the windows, whatever is drawn or normalised; JSON."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """All that decides the windows, their order and their numbers."""
        ...


class Loader:
    """Endless shuffled batches of NumPy arrays; see `make_loader`."""

    def __init__(self, windows: Numbered, batch_size: int, host_index: int, host_count: int):
        if batch_size < 1 or batch_size % host_count:
            raise UserError(
                f"A global batch of {batch_size} cannot be cut among {host_count} hosts: choose a "
                "multiple."
            )
        self.source = windows
        self.batch_size, self.host_index, self.host_count = batch_size, host_index, host_count
        config = windows.config
        self.order = windows.order()
        share = batch_size // host_count
        mine = slice(host_index * share, (host_index + 1) * share)
        numbers = typing.cast(Any, Batches(self.order, batch_size))
        batches = grain.MapDataset.source(numbers).map(lambda given: windows.batch(given[mine]))
        self._iterator = iter(
            batches.to_iter_dataset(
                grain.ReadOptions(
                    num_threads=min(config.prefetch, 1), prefetch_buffer_size=config.prefetch
                )
            )
        )

    @property
    def windows(self) -> int:
        """W: windows in this part."""
        return len(self.source)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What a state belongs to; the number of hosts is no part of it."""
        return {**self.source.fingerprint(), "batch_size": self.batch_size}

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """This host's rows of the next global batch."""
        return next(self._iterator)

    def state(self) -> dict[str, Any]:
        """{"next_example": int, "fingerprint": {...}}, plain JSON."""
        taken = int(self._iterator.get_state()["next_index"])
        return {"next_example": taken * self.batch_size, "fingerprint": self.fingerprint}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on exactly where `state` was taken, on any number of hosts.

        Raises:
            UserError: the state belongs to other data, windows, seed or batch size.
        """
        rows = difference(state["fingerprint"], self.fingerprint)
        if rows:
            # Other statistics follow from other data: what was set comes first.
            rows = sorted(
                rows, key=lambda row: FOLLOWS.isdisjoint(row[0].split(".")[:-1]), reverse=True
            )
            told = "; ".join(
                f"{path}: {_short(there)} there, {_short(here)} here"
                for path, there, here in rows[:3]
            )
            raise UserError(
                f"The data state belongs to another run ({told}): restore the settings or start "
                "in a new workdir."
            )
        self._iterator.set_state({"next_index": state["next_example"] // self.batch_size})

    def close(self) -> None:
        """Stop the prefetch thread."""
        self._iterator.close()


def make_loader(
    config: DataConfig,
    batch_size: int,
    statistics: Statistics,
    *,
    host_index: int = 0,
    host_count: int = 1,
    episodes: Episodes | None = None,
) -> Loader:
    """An endless loader of shuffled windows.

    Args:
        config: which data and windows.
        batch_size: the global one; a host gets `batch_size // host_count` rows.
        statistics: of these data (`statistics_for`).
        host_index, host_count: which share is ours.
        episodes: the scanned data, if they are at hand.

    Raises:
        UserError: see `Windows` and `Loader`.
    """
    return Loader(Windows(config, statistics, episodes), batch_size, host_index, host_count)


class Readable(Protocol):
    """Windows by number, in no order."""

    def __len__(self) -> int: ...

    def batch(self, windows: np.ndarray, /) -> Batch:
        """The examples `windows`, int64 [B]; -1 gives an example whose masks are all False."""
        ...


def ordered_batches(
    windows: Readable, batch_size: int, limit: int | None = None
) -> Iterator[Batch]:
    """Every window once, in order; the last batch is filled up with examples of index -1.

    Args:
        windows: for example of `dataclasses.replace(config, part="heldout")`.
        batch_size: rows a batch.
        limit: at most this many windows, spread evenly; None for all.
    """
    numbers = np.arange(len(windows))
    if limit is not None and limit < len(windows):
        numbers = np.linspace(0, len(windows) - 1, limit).round().astype(np.int64)
    for start in range(0, len(numbers), batch_size):
        here = numbers[start : start + batch_size]
        yield windows.batch(np.pad(here, (0, batch_size - len(here)), constant_values=-1))
