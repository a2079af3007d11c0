from typing import Any

import jax
import numpy as np
import pytest

from tests.train.toy import ToyLoader, ToySystem
from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.parallel.shardings import unbox
from wamjax.train.inputs import refuse_empty_masks, unused_inputs

BATCH = ToyLoader(4).make(0)
KEY = jax.random.key(3)


class Blind(ToySystem):
    """Sees neither the second camera nor the words."""

    def loss(self, params: Any, batch: Any, key: Any, objective: str) -> Any:
        seen = batch.replace(frames=batch.frames[:, :1].repeat(2, 1), text=0 * batch.text)
        return super().loss(params, seen, key, objective)


def test_every_input_of_a_seeing_system_counts_although_its_heads_start_at_zero():
    params = unbox(ToySystem().init(KEY))
    assert not np.any(params["model"]["action"]["kernel"])
    assert unused_inputs(ToySystem(), params, BATCH, "joint", KEY) == []


def test_what_a_system_ignores_is_named():
    params = unbox(Blind().init(KEY))
    assert unused_inputs(Blind(), params, BATCH, "joint", KEY) == ["camera 1", "text"]


@pytest.mark.parametrize("name", ["camera_mask", "frame_mask", "action_mask"])
def test_a_mask_that_hides_everything_is_refused(name: str):
    batch: Batch = BATCH.replace(**{name: np.zeros_like(getattr(BATCH, name))})
    with pytest.raises(UserError, match=f"{name} hides everything"):
        refuse_empty_masks(batch)


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="proprio in the first batch"):
        refuse_empty_masks(BATCH.replace(proprio=BATCH.proprio * np.nan))
    refuse_empty_masks(BATCH)
