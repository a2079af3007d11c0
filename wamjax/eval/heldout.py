"""Held-out windows of a data set as `open_loop` and the sample page take them."""

from collections.abc import Iterator

import numpy as np

from wamjax.core.records import Batch
from wamjax.core.text import decode_text
from wamjax.core.typing import Float, Key, typed
from wamjax.data.normalising.statistics import Statistics
from wamjax.data.windows.pipeline import Windows, ordered_batches
from wamjax.data.windows.seated import SeatedWindows
from wamjax.eval.openloop import PADDING, HeldOut, Predict
from wamjax.eval.sample_report import Sample


def held_out(
    windows: Windows | SeatedWindows, batch_size: int, limit: int | None = None
) -> Iterator[HeldOut]:
    """Every window once, in batches of one size.

    Args:
        windows: of a config with part "heldout".
        batch_size: rows per batch; the last one is filled up with padding.
        limit: at most this many windows, spread evenly; None for all.
    """
    for batch in ordered_batches(windows, batch_size, limit):
        numbers = np.asarray(batch.index, np.int64)
        real = numbers >= 0
        previous, exists = windows.previous_actions(np.where(real, numbers, 0))
        episode = np.where(real, windows.index.episode[np.where(real, numbers, 0)], PADDING)
        yield HeldOut(batch=batch, previous=previous, has_previous=exists & real, episode=episode)


@typed
def mean_action(
    windows: Windows | SeatedWindows, statistics: Statistics
) -> Float[np.ndarray, " A"]:
    """The mean of the training actions in normalised units; 0 in padded dimensions."""
    normaliser = windows.action_normaliser
    mean = np.asarray(statistics.action.mean, np.float32)
    wide = np.pad(mean, (0, normaliser.raw_width - len(mean)))
    return np.where(normaliser.mask, normaliser.apply(wide), 0).astype(np.float32)


def samples(
    windows: Windows | SeatedWindows, predict: Predict, key: Key, count: int = 6
) -> list[Sample]:
    """`count` windows from different episodes where possible, with what is predicted for them.

    Args:
        windows: of a config with part "heldout".
        predict: as in `open_loop`; frames of the first views.
        key: of the sampler's noise.
        count: windows to show.
    """
    numbers = spread_windows(windows.index.episode, count)
    # Always `count` rows, so that one compilation serves any data set.
    rows = np.pad(numbers, (0, count - len(numbers)), constant_values=-1)
    batch = windows.batch(rows)
    actions, frames = predict(batch, key)
    return [_sample(windows, batch, actions, frames, row) for row in range(len(numbers))]


def spread_windows(episode: np.ndarray, count: int) -> np.ndarray:
    """Numbers of up to `count` windows, taken over the episodes in turn, from varied places.

    Args:
        episode: int [W], the episode of each window, ascending.
        count: how many.
    """
    names, first, lengths = np.unique(episode, return_index=True, return_counts=True)
    rounds = -(-count // len(names))
    numbers = {
        int(start + (2 * turn + 1 + place % 2) * length // (2 * rounds + 2))
        for turn in range(rounds)
        for place, (start, length) in enumerate(zip(first, lengths))
    }
    chosen = np.array(sorted(numbers), np.int64)
    places = np.linspace(0, len(chosen) - 1, min(count, len(chosen))).round().astype(int)
    return chosen[places]


def _sample(windows: Windows | SeatedWindows, batch: Batch, actions, frames, row: int) -> Sample:
    index, number = windows.index, int(np.asarray(batch.index)[row])
    history = windows.config.history
    # The first camera that this robot has.
    view = int(np.argmax(np.asarray(batch.camera_mask)[row]))
    seen = np.asarray(batch.frames)[row, view]
    none = np.zeros((0, *seen.shape[1:]), np.uint8)

    def recorded(actions) -> np.ndarray:
        return windows.recorded_actions(np.array([number]), np.asarray(actions)[row : row + 1])[0]

    step = int(index.row[number] - index.first[number])
    return Sample(
        label=f"episode {int(index.episode[number])}, step {step}",
        instruction=decode_text(np.asarray(batch.text)[row]),
        now=seen[history - 1],
        truth=seen[history:],
        predicted=none
        if frames is None or view >= frames.shape[1]
        else np.asarray(frames)[row, view],
        logged=recorded(batch.actions),
        actions=recorded(actions),
        mask=np.asarray(windows.action_normaliser.narrow(np.asarray(batch.action_mask)[row])),
    )
