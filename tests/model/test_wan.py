"""The block with Wan's settings is diffusers' Wan, given the same weights."""

import copy

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
pytest.importorskip("diffusers", reason="the reference; the extra `reference` brings it")

from tests.model.wan_reference import (  # noqa: E402
    Sizes,
    converted,
    denoised,
    ours,
    reference,
    told,
)

SIZES = Sizes(heads=3, head_dim=16, depth=3, mlp=80, text=12, channels=5)


@pytest.mark.parametrize(
    ("seed", "shape", "batch", "words"),
    [(0, (3, 4, 6), 2, 7), (1, (1, 8, 8), 1, 5), (2, (5, 2, 4), 3, 9)],
)
@pytest.mark.law("j", "wan")
@pytest.mark.parametrize("per_frame", [False, True])
def test_the_block_is_wan(seed, shape, batch, words, per_frame):
    model = reference(SIZES, seed, noise=0.1)
    frames, height, width = shape
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(batch, frames, height, width, SIZES.channels)).astype(np.float32)
    text = rng.normal(size=(batch, words, SIZES.text)).astype(np.float32)
    sigma = rng.uniform(size=(batch, frames if per_frame else 1)).astype(np.float32)

    grid = (frames, height // 2, width // 2)
    mine = ours(SIZES, words, grid, pieces=frames if per_frame else 1)
    given = jax.tree.map(jnp.asarray, (latents, text, sigma))
    params = converted(SIZES, {name: x.detach().numpy() for name, x in model.state_dict().items()})
    fresh = jax.eval_shape(
        lambda key: nn.unbox(mine.init(key, *told(mine, *given), method="denoise")),
        jax.random.key(0),
    )["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, fresh)
    got = jax.jit(lambda p: denoised(mine, p, *given))(params)

    time = 1000 * torch.tensor(sigma)
    time = time.repeat_interleave(height * width // 4, dim=1) if per_frame else time[:, 0]
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        single, want = (
            kind(
                torch.tensor(latents.transpose(0, 4, 1, 2, 3), dtype=dtype),
                time,
                torch.tensor(text, dtype=dtype),
            )
            .sample.numpy()
            .transpose(0, 2, 3, 4, 1)
            for kind, dtype in ((model, torch.float32), (double, torch.float64))
        )
    largest = np.abs(want).max()
    ours_off, theirs_off = (np.abs(x - want).max() / largest for x in (got, single))
    print(f"off from float64, relative: ours {ours_off:.1e}, diffusers {theirs_off:.1e}")
    assert ours_off < 1e-5
