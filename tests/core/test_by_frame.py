"""Actions by the frame they lead to: written out, undone, and on a batch's masks."""

import jax.numpy as jnp
import numpy as np
import pytest

from wamjax.core.by_frame import by_frame, per_frame
from wamjax.core.records import Batch


def chunk(batch: int, length: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(length)
    shape = (batch, length, width)
    return draw.normal(size=shape).astype(np.float32), draw.random(shape) < 0.5


@pytest.mark.parametrize(("length", "n"), [(8, 4), (8, 1), (8, 8), (6, 2), (6, 3), (1, 1)])
@pytest.mark.parametrize("module", [np, jnp], ids=["numpy", "jax"])
def test_row_f_holds_the_actions_from_frame_f_to_the_next(length, n, module) -> None:
    actions, mask = chunk(3, length, 5)
    rows, real = by_frame(module.asarray(actions), module.asarray(mask), n)
    assert rows.shape == real.shape == (3, length // n, n, 5)
    for tick in range(length):
        # The frame that is on show when the action starts, n control steps from one to the next.
        frame, since = 0, tick
        while since >= n:
            frame, since = frame + 1, since - n
        np.testing.assert_array_equal(rows[:, frame, since], actions[:, tick])
        np.testing.assert_array_equal(real[:, frame, since], mask[:, tick])
    np.testing.assert_array_equal(np.concatenate(list(np.moveaxis(rows, 1, 0)), axis=1), actions)


@pytest.mark.parametrize("n", [0, 3, 16])
def test_a_chunk_that_does_not_line_up_is_refused(n) -> None:
    actions, mask = chunk(2, 8, 7)
    with pytest.raises(ValueError, match=f"a chunk of 8 actions cannot be cut into runs of {n}: "):
        by_frame(actions, mask, n)
    with pytest.raises(ValueError, match="a chunk of 8 actions cannot be cut among 3 frames"):
        per_frame(8, 3)
    assert per_frame(8, 2) == 4


def test_a_batch_says_which_examples_have_actions_and_texts() -> None:
    mask = np.zeros((4, 3, 2), bool)
    mask[1, 2, 0] = mask[2] = True
    text = np.zeros((4, 5), np.uint8)
    text[0, 0] = text[2, :3] = 65
    rest = dict.fromkeys(
        ("frames", "camera_mask", "frame_mask", "actions", "proprio", "proprio_mask", "index")
    )
    for module in (np, jnp):
        batch = Batch(action_mask=module.asarray(mask), text=module.asarray(text), **rest)
        assert batch.has_action.tolist() == [False, True, True, False]
        assert batch.has_text.tolist() == [True, False, True, False]
