"""Open loop on held-out episodes: predicted actions and frames against what was recorded.

    error = sum(mask * |prediction - truth|) / sum(mask)

Actions are compared in normalised units, frames in 0 ... 1 (a grey level is 1/255). Two trivial
action predictors stand beside the policy: "mean action" repeats the mean of the training actions;
"last action" repeats the action of the step before the window, and at the first step of an
episode, where there is none, the mean action. "Repeat frame" says that nothing will move.
Intervals resample whole episodes (percentile bootstrap, 95 %).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flax.struct
import jax
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.core.typing import AnyArray, Bool, Float, Key, Shaped, UInt8, typed
from wamjax.eval.statistics import bootstrap_mean

PADDING = -1
Predict = Callable[[Batch, Key], tuple[AnyArray, AnyArray | None]]

NOTE = (
    "mean absolute error on held-out windows; actions in normalised units, frames in 0..1; "
    "'last action' is the mean action at the first step of an episode"
)


@flax.struct.dataclass
class HeldOut:
    """B held-out windows and what the trivial predictors need to know about them.

    Attributes:
        batch: the windows, as the loss would get them.
        previous: float32 [B, A], normalised, the action of the step before each window.
        has_previous: bool [B], that step exists.
        episode: int [B], which episode the window comes from; PADDING where there is no window.
    """

    batch: Batch
    previous: np.ndarray
    has_previous: np.ndarray
    episode: np.ndarray


@typed
def action_errors(
    predicted: Float[np.ndarray, "B K A"],
    truth: Float[np.ndarray, "B K A"],
    mask: Bool[np.ndarray, "B K A"],
) -> tuple[Float[np.ndarray, "B A"], Float[np.ndarray, "B A"]]:
    """Summed absolute error and number of real entries, per window and dimension."""
    gap = np.abs(predicted.astype(np.float64) - truth) * mask
    return gap.sum(1), mask.sum(1).astype(np.float64)


@typed
def frame_errors(
    predicted: UInt8[np.ndarray, "B V F H W 3"],
    truth: UInt8[np.ndarray, "B V F H W 3"],
    mask: Bool[np.ndarray, "B V F"],
) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, " B"]]:
    """Summed absolute error in 0 ... 1 and number of real entries, per window."""
    gap = np.abs(predicted.astype(np.float32) - truth.astype(np.float32)) / 255.0
    per_frame = gap.mean((3, 4, 5), dtype=np.float64)
    return (per_frame * mask).sum((1, 2)), mask.sum((1, 2)).astype(np.float64)


@typed
def trivial_actions(
    held: HeldOut, mean_action: Float[np.ndarray, " A"]
) -> dict[str, Shaped[np.ndarray, "B K A"]]:
    """The two trivial predictors' chunks, float32 normalised."""
    shape = np.shape(held.batch.actions)
    last = np.where(held.has_previous[:, None], held.previous, mean_action)
    return {
        "mean_action": np.broadcast_to(mean_action, shape).astype(np.float32),
        "last_action": np.broadcast_to(last[:, None], shape).astype(np.float32),
    }


def open_loop(
    predict: Predict,
    windows: Iterable[HeldOut],
    *,
    mean_action: np.ndarray,
    history: int,
    key: Key,
    advance: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Errors over all windows.

    Args:
        predict: (batch, key) -> (normalised actions [B, K, A], future frames uint8
            [B, V, F, H, W, 3] of the first V views, or None).
        windows: held-out windows.
        mean_action: float32 [A], the mean of the training actions, normalised.
        history: frames of a window that lie in the past or now.
        key: of the sampler's noise.
        advance: hears of finished windows.

    Returns:
        action_error, mean_action_error, last_action_error, frame_error, repeat_frame_error (null
        when no frames are predicted), `intervals` (name -> [low, high]), `action_error_by_dim`,
        `windows`, `episodes`, `note`.

    Raises:
        UserError: there are no held-out windows, or none with a real action.
    """
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    groups = []
    for number, held in enumerate(windows):
        actions, frames = predict(held.batch, jax.random.fold_in(key, number))
        truth, mask = np.asarray(held.batch.actions), np.asarray(held.batch.action_mask)
        chunks = {"action": np.asarray(actions, np.float32)}
        chunks.update(trivial_actions(held, np.asarray(mean_action, np.float32)))
        for name, chunk in chunks.items():
            parts.setdefault(name, []).append(action_errors(chunk, truth, mask))
        if frames is not None:
            for name, pair in _frame_parts(held.batch, np.asarray(frames), history).items():
                parts.setdefault(name, []).append(pair)
        groups.append(np.asarray(held.episode))
        if advance is not None:
            advance(int(np.sum(groups[-1] != PADDING)))
    if not groups:
        raise UserError("there are no held-out windows; raise data.holdout or check data.part.")
    return _table(parts, np.concatenate(groups))


def _frame_parts(
    batch: Batch, predicted: np.ndarray, history: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    views, ahead = predicted.shape[1:3]
    frames = np.asarray(batch.frames)[:, :views]
    future = frames[:, :, history : history + ahead]
    inside = np.asarray(batch.frame_mask)[:, history : history + ahead]
    mask = np.asarray(batch.camera_mask)[:, :views, None] & inside[:, None, :]
    now = np.broadcast_to(frames[:, :, history - 1 : history], future.shape)
    return {
        "frame": frame_errors(predicted, future, mask),
        "repeat_frame": frame_errors(now, future, mask),
    }


def _table(
    parts: Mapping[str, list[tuple[np.ndarray, np.ndarray]]], groups: np.ndarray
) -> dict[str, Any]:
    out: dict[str, Any] = {
        f"{name}_error": None
        for name in ("action", "mean_action", "last_action", "frame", "repeat_frame")
    }
    intervals = {}
    real = groups != PADDING
    groups = groups[real]
    for name, pairs in parts.items():
        totals, counts = (np.concatenate(column)[real] for column in zip(*pairs))
        if counts.sum() == 0:
            raise UserError(f"no held-out window has a real {name.split('_')[-1]} to compare with.")
        if totals.ndim == 2:
            if name == "action":
                dims = np.maximum(counts.sum(0), 1)
                out["action_error_by_dim"] = (totals.sum(0) / dims).tolist()
            totals, counts = totals.sum(1), counts.sum(1)
        out[f"{name}_error"] = float(totals.sum() / counts.sum())
        intervals[f"{name}_error"] = list(bootstrap_mean(totals, counts, groups))
    out["intervals"] = intervals
    out["windows"] = len(groups)
    out["episodes"] = len(np.unique(groups))
    out["note"] = NOTE
    return out
