"""Open loop for people: predicted frames beside the true ones, predicted actions beside the log."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wamjax.core.files import write_text
from wamjax.eval import figures
from wamjax.eval.pictures import data_uri
from wamjax.eval.report import page

ACTION_NAMES = (
    "forward x, m",
    "left y, m",
    "up z, m",
    "roll, rad",
    "pitch, rad",
    "yaw, rad",
    "gripper, 1 = open",
)
ROWS = (
    ("action_error", "the model"),
    ("mean_action_error", "repeat the mean action"),
    ("last_action_error", "repeat the last action"),
    ("frame_error", "the model"),
    ("repeat_frame_error", "repeat the frame"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One held-out window.

    Attributes:
        label: which episode and step.
        instruction: the language goal.
        now: uint8 [H, W, 3], the newest frame seen.
        truth: uint8 [F, H, W, 3], the frames that followed.
        predicted: uint8 [F, H, W, 3], or F = 0 when the model predicts none.
        logged: float32 [K, A], raw units.
        actions: float32 [K, A], predicted, raw units.
        mask: bool [K, A], real entries.
    """

    label: str
    instruction: str
    now: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    logged: np.ndarray
    actions: np.ndarray
    mask: np.ndarray


def action_names(width: int) -> tuple[str, ...]:
    """Labels for A action dimensions; the OXE convention for seven."""
    if width == len(ACTION_NAMES):
        return ACTION_NAMES
    return tuple(f"action {dim}" for dim in range(width))


def write_sample_report(
    path: str | os.PathLike,
    errors: Mapping[str, Any],
    samples: Sequence[Sample],
    *,
    title: str,
    command: str,
) -> pathlib.Path:
    """Write sample.html.

    Args:
        path: where.
        errors: what `open_loop` returned.
        samples: windows to show.
        title: what was sampled from.
        command: how to do it again.
    """
    values = {
        "title": title,
        "command": command,
        "verdict": _verdict(errors),
        "tables": _tables(errors),
        "windows": errors["windows"],
        "episodes": errors["episodes"],
        "samples": [_sample(sample, place) for place, sample in enumerate(samples)],
    }
    return write_text(path, page("sample.html.j2", values))


def _verdict(errors: Mapping[str, Any]) -> str:
    mine = errors["action_error"]
    best = min(errors["mean_action_error"], errors["last_action_error"])
    ratio = mine / best if best > 0 else float("inf")
    text = f"On {errors['episodes']} held-out episodes the action error is {mine:.3f}, "
    if ratio < 1:
        text += f"{100 * (1 - ratio):.0f} % below the better trivial predictor ({best:.3f})."
    else:
        text += f"not below the better trivial predictor ({best:.3f})."
    if errors["frame_error"] is None:
        return text
    frame, repeat = errors["frame_error"], errors["repeat_frame_error"]
    word = "below" if frame < repeat else "not below"
    return (
        f"{text} The frame error is {frame:.4f}, {word} that of repeating the frame ({repeat:.4f})."
    )


def _tables(errors: Mapping[str, Any]) -> list[dict[str, Any]]:
    out = []
    for title, kind in (("Actions, normalised units", "action"), ("Frames, 0 to 1", "frame")):
        rows = [
            (label, errors[name], errors["intervals"][name])
            for name, label in ROWS
            if f"{kind}_error" in name and errors[name] is not None
        ]
        if not rows:
            continue
        # Of a clip in which nothing moves no error is above 0.
        largest = max(ends[1] for _, _, ends in rows) or 1.0
        out.append(
            {
                "title": title,
                "rows": [
                    {
                        "label": label,
                        "value": f"{value:.4f}",
                        "interval": f"{ends[0]:.4f}–{ends[1]:.4f}",
                        "at": round(100 * value / largest, 2),
                        "low": round(100 * ends[0] / largest, 2),
                        "width": round(100 * (ends[1] - ends[0]) / largest, 2),
                    }
                    for label, value, ends in rows
                ],
            }
        )
    return out


def _sample(sample: Sample, place: int) -> dict[str, Any]:
    names = action_names(sample.logged.shape[1])
    return {
        "label": sample.label,
        "instruction": sample.instruction,
        "now": data_uri(sample.now),
        "columns": [
            {"number": number + 1, "truth": data_uri(truth), "predicted": data_uri(predicted)}
            for number, (truth, predicted) in enumerate(zip(sample.truth, sample.predicted))
        ],
        "panels": figures.action_panels(
            sample.logged, sample.actions, names, sample.mask, f"window {place}"
        ),
    }
