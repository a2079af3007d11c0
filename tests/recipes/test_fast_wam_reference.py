"""FastWAM's core equals the same network built from diffusers' blocks in PyTorch."""

import jax
import numpy as np
import pytest

from wamjax.recipes.network import parameters

pytestmark = pytest.mark.usefixtures("quick_to_compile")

pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
pytest.importorskip("diffusers", reason="the reference; the extra `reference` brings it")


def test_loss_and_samples_are_those_of_the_reference():
    from tests.benchmarks.fast_wam_programs import inputs, ours, pair
    from tests.benchmarks.fast_wam_reference import BLUEPRINT

    model, params = pair()
    counted = sum(weight.numel() for weight in model.parameters())
    print(f"{counted:,} parameters")
    assert counted == parameters(BLUEPRINT)
    given = inputs(2)
    video, action = model(*given.theirs["inputs"])
    theirs = (video - given.theirs["video_velocity"]).square().mean()
    theirs = theirs + (action - given.theirs["action_velocity"]).square().mean()
    np.testing.assert_allclose(
        jax.jit(ours().loss)(params, given.ours), theirs.detach().numpy(), rtol=1e-5
    )
    sampled = jax.jit(ours().sample)(params, given.sample)
    wanted = model.sample(*given.theirs["sample"]).numpy()
    np.testing.assert_allclose(sampled, wanted, atol=1e-4)
