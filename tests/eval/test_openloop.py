"""Open-loop errors against a plain loop over numbers."""

import itertools

import jax
import numpy as np
import pytest

from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.eval.openloop import PADDING, HeldOut, open_loop

B, V, T, K, A, H = 5, 2, 3, 4, 3, 6
HISTORY = 1


def held_out(seed):
    rng = np.random.default_rng(seed)
    batch = Batch(
        frames=rng.integers(0, 256, (B, V + 1, T, H, H, 3)).astype(np.uint8),
        camera_mask=rng.random((B, V + 1)) > 0.3,
        frame_mask=rng.random((B, T)) > 0.3,
        actions=rng.normal(size=(B, K, A)).astype(np.float32),
        action_mask=rng.random((B, K, A)) > 0.3,
        proprio=np.zeros((B, 2), np.float32),
        proprio_mask=np.ones((B, 2), bool),
        text=np.zeros((B, 4), np.uint8),
        index=np.arange(B, dtype=np.int32),
    )
    return HeldOut(
        batch=batch,
        previous=rng.normal(size=(B, A)).astype(np.float32),
        has_previous=rng.random(B) > 0.5,
        episode=rng.integers(0, 4, B),
    )


WINDOWS = [held_out(seed) for seed in range(3)]
MEAN = np.array([0.5, -0.5, 0.0], np.float32)


def predict(batch, key):
    noise = np.asarray(jax.random.normal(key, (B, K, A)))
    return batch.actions + 0.1 * noise, batch.frames[:, :V, HISTORY:] // 2


def errors():
    return open_loop(predict, WINDOWS, mean_action=MEAN, history=HISTORY, key=jax.random.key(0))


def test_errors_equal_a_loop_over_numbers():
    sums = {name: [0.0, 0.0] for name in ("action", "mean", "last", "frame", "repeat")}

    def add(name, value, count=1):
        sums[name][0] += value
        sums[name][1] += count

    for number, held in enumerate(WINDOWS):
        guess, frames = predict(held.batch, jax.random.fold_in(jax.random.key(0), number))
        for b, k, a in itertools.product(range(B), range(K), range(A)):
            if held.batch.action_mask[b, k, a]:
                truth = held.batch.actions[b, k, a]
                last = held.previous[b, a] if held.has_previous[b] else MEAN[a]
                add("action", abs(guess[b, k, a] - truth))
                add("mean", abs(MEAN[a] - truth))
                add("last", abs(last - truth))
        for b, v, t in itertools.product(range(B), range(V), range(T - HISTORY)):
            if held.batch.camera_mask[b, v] and held.batch.frame_mask[b, HISTORY + t]:
                truth = held.batch.frames[b, v, HISTORY + t].astype(float)
                add("frame", np.abs(frames[b, v, t] - truth).mean() / 255)
                now = held.batch.frames[b, v, HISTORY - 1].astype(float)
                add("repeat", np.abs(now - truth).mean() / 255)
    found = errors()
    for name, key in (
        ("action", "action_error"),
        ("mean", "mean_action_error"),
        ("last", "last_action_error"),
        ("frame", "frame_error"),
        ("repeat", "repeat_frame_error"),
    ):
        total, count = sums[name]
        assert found[key] == pytest.approx(total / count, rel=1e-5)
        low, high = found["intervals"][key]
        assert low <= found[key] <= high
    assert (found["windows"], found["episodes"]) == (15, 4)
    assert len(found["action_error_by_dim"]) == A


def test_a_perfect_prediction_has_no_error_and_no_frames_give_null():
    found = open_loop(
        lambda batch, key: (batch.actions, None),
        WINDOWS,
        mean_action=MEAN,
        history=HISTORY,
        key=jax.random.key(0),
    )
    assert found["action_error"] == 0
    assert found["frame_error"] is None
    assert found["repeat_frame_error"] is None


def test_padding_is_no_window():
    padded = HeldOut(
        batch=WINDOWS[0].batch.replace(action_mask=np.zeros((B, K, A), bool)),
        previous=WINDOWS[0].previous,
        has_previous=WINDOWS[0].has_previous,
        episode=np.full(B, PADDING),
    )
    told = []
    found = open_loop(
        lambda batch, key: (batch.actions + 0.5, None),
        [*WINDOWS, padded],
        mean_action=MEAN,
        history=HISTORY,
        key=jax.random.key(0),
        advance=told.append,
    )
    assert (found["windows"], found["episodes"]) == (15, 4)
    assert found["mean_action_error"] == errors()["mean_action_error"]
    assert told == [5, 5, 5, 0]


def test_nothing_held_out_is_refused():
    with pytest.raises(UserError, match="held-out"):
        open_loop(predict, [], mean_action=MEAN, history=HISTORY, key=jax.random.key(0))
