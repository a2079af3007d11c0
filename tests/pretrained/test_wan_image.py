"""Wan 2.1's image branch: told a picture, our transformer predicts what diffusers' does."""

import jax.numpy as jnp
import numpy as np
import pytest
from einops import rearrange

from tests.pretrained.denoised import state
from wamjax.model.segments import Segment
from wamjax.model.tokens import latents_from_tokens, tokens_from_latents
from wamjax.pretrained import wan
from wamjax.pretrained.denoiser import prediction
from wamjax.pretrained.moves import ours
from wamjax.pretrained.originals.video import wan_module

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from tests.pretrained.theirs import noisy  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_to_compile")

TINY = wan.Sizes(
    heads=3, head_dim=16, depth=2, mlp=80, text=12, channels=3, image=10, beside=4
)  # fmt: skip
# diffusers takes the last 512 tokens of what is told as text, and those before as the picture.
WORDS = 512


@pytest.mark.parametrize(
    ("seed", "shape", "batch", "pieces"),
    [
        (0, (3, 4, 6), 2, 5),
        pytest.param(1, (1, 8, 6), 1, 3, marks=pytest.mark.slow),
        pytest.param(2, (5, 2, 4), 3, 8, marks=pytest.mark.slow),
    ],
)
def test_predictions_are_those_of_diffusers(parity, seed, shape, batch, pieces):
    torch.manual_seed(seed)
    model = noisy(wan_module(TINY).fresh(), seed)
    frames, height, width = shape
    rng = np.random.default_rng(seed)
    size = (batch, *shape, TINY.channels + TINY.beside)
    latents = rng.normal(size=size).astype(np.float32)
    text = rng.normal(size=(batch, WORDS, TINY.text)).astype(np.float32)
    picture = rng.normal(size=(batch, pieces, TINY.image)).astype(np.float32)
    sigma = rng.uniform(size=(batch, 1)).astype(np.float32)

    def theirs(image):
        with torch.no_grad():
            return model(
                torch.tensor(rearrange(latents, "B L h w c -> B c L h w"), dtype=torch.float64),
                1000 * torch.tensor(sigma[:, 0]),
                torch.tensor(text, dtype=torch.float64),
                torch.tensor(image, dtype=torch.float64),
            ).sample.numpy()

    grid = (frames, height // wan.PATCH, width // wan.PATCH)
    segments = (
        Segment(stream="text", frames=WORDS),
        Segment(stream="image", frames=pieces),
        Segment(stream="video", copy="noisy", frames=frames, rows=grid[1], columns=grid[2]),
    )
    tokens = np.asarray(tokens_from_latents(jnp.asarray(latents), wan.PATCH))
    params = ours(wan.table(TINY), state(model), wan.target(TINY))
    values, levels = (text, picture, tokens), {"video": sigma}
    got = prediction(wan.config(TINY), params, segments, values, levels)["video"]
    got = rearrange(latents_from_tokens(got, grid, wan.PATCH), "B L h w c -> B c L h w")
    truth = theirs(picture)
    parity("Wan 2.1 I2V", "transformer", seed, size, got, truth, 1e-5)
    # The picture is heard.
    assert np.abs(theirs(-picture) - truth).max() > 0.1
