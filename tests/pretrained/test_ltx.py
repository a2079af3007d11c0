"""LTX-Video's transformer is diffusers', given the same weights under either names."""

import math

import jax
import numpy as np
import pytest

from tests.pretrained.denoised import published, state
from wamjax.model.rotary import rotary_angles
from wamjax.model.segments import Segment
from wamjax.pretrained import ltx
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.denoiser import prediction
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import ours, theirs
from wamjax.pretrained.originals.video import ltx_module
from wamjax.recipes.ge_act import WIDTHS
from wamjax.recipes.ge_act import model as recipe

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from diffusers.models.transformers.transformer_ltx import LTXVideoRotaryPosEmbed  # noqa: E402

from tests.pretrained.theirs import noisy  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_to_compile")

FULL = ltx.SIZES["ltx-video-2b"]
# A width that six does not divide: two pairs of the first head do not turn.
TINY = ltx.Sizes(heads=4, head_dim=16, depth=3, mlp=256, text=12, channels=5)
FPS = 16


def test_the_video_expert_is_that_of_the_recipe():
    (stack,), (video, _) = ltx.config(FULL).stacks, recipe(WIDTHS["full"]).stacks
    assert stack.experts == video.experts
    canvas, of_recipe = (s.rotary and s.rotary.canvas for s in (stack, video))
    assert canvas
    assert of_recipe
    assert canvas[1:] == of_recipe[1:]
    assert ltx.config(FULL).port("text") == recipe(WIDTHS["full"]).port("text")


def test_shapes_are_those_of_diffusers_at_full_size():
    family = FAMILIES["ltx-video-2b"]
    named = published(ltx_module(FULL).fresh)
    target = family.target()
    assert len(checked(family.layouts["diffusers"](), target, named)) == len(named)
    count = sum(x.size for x in jax.tree.leaves(target))
    assert count == sum(math.prod(x.shape) for x in named.values())
    print(f"{count / 1e9:.2f} billion weights in {len(named)} tensors")


def test_angles_are_those_of_diffusers_at_full_size():
    grid = (3, 2, 5)
    place = np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), -1).reshape(-1, 3)
    rotary = ltx.config(FULL).stacks[0].rotary
    assert rotary is not None
    angles = rotary_angles(
        place * np.array([8 / FPS, 1, 1]), FULL.head_dim, rotary, heads=FULL.heads
    ).reshape(len(place), -1)
    theirs = LTXVideoRotaryPosEmbed(FULL.width)
    cosine, sine = theirs(torch.zeros(1, 1, 1), *grid, (8 / FPS, 32, 32))
    for want, function in ((cosine, np.cos), (sine, np.sin)):
        off = np.abs(function(angles.astype(np.float64)) - want[0, :, ::2].numpy())
        # Frequencies that float32 rounds the other way turn by 2 ** -24 of up to 15,708 radians.
        assert off.max() < 3e-3
        assert off.mean() < 3e-5


@pytest.mark.parametrize(
    ("seed", "grid", "batch", "words"),
    [
        (0, (3, 2, 4), 2, 7),
        pytest.param(1, (1, 5, 3), 1, 5, marks=pytest.mark.slow),
        pytest.param(2, (5, 1, 4), 3, 9, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("per_frame", [False, True])
def test_predictions_are_those_of_diffusers(parity, seed, grid, batch, words, per_frame):
    torch.manual_seed(seed)
    model = noisy(ltx_module(TINY).fresh(), seed)
    frames, rows, columns = grid
    rng = np.random.default_rng(seed)
    count = frames * rows * columns
    latents = rng.normal(size=(batch, count, TINY.channels)).astype(np.float32)
    text = rng.normal(size=(batch, words, TINY.text)).astype(np.float32)
    heard = np.arange(words) < rng.integers(1, words, (batch, 1))
    sigma = rng.uniform(size=(batch, frames if per_frame else 1)).astype(np.float32)
    times = np.repeat(1000 * sigma, rows * columns if per_frame else 1, axis=1)
    with torch.no_grad():
        truth = model(
            torch.tensor(latents, dtype=torch.float64),
            torch.tensor(text, dtype=torch.float64),
            torch.tensor(times),
            torch.tensor(heard),
            *grid,
            rope_interpolation_scale=(8 / FPS, 32, 32),
        ).sample.numpy()

    pieces = frames if per_frame else 1
    segments = (
        Segment(stream="text", frames=words),
        *(
            Segment(
                stream="video",
                copy="noisy",
                frames=frames // pieces,
                rows=rows,
                columns=columns,
                start=place * 8 / FPS,
                stride=8 / FPS,
            )
            for place in range(pieces)
        ),
    )
    values = (text, *np.split(latents, pieces, axis=1))
    params = ours(ltx.table(TINY), state(model), ltx.target(TINY))
    real = np.concatenate([heard, np.ones((batch, count), bool)], axis=1)
    got = prediction(ltx.config(TINY), params, segments, values, {"video": sigma}, real)["video"]
    part = "level per frame" if per_frame else "one level"
    parity("LTX-Video", f"transformer, {part}", seed, (batch, *grid), got, truth, 1e-5)


def test_diffusers_renames_original_files_as_the_tables_do():
    files = pytest.importorskip("diffusers.loaders.single_file_utils")
    rng = np.random.default_rng(0)
    target = ltx.target(TINY)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), target)
    diffusers, original = (theirs(ltx.table(TINY, k), params) for k in ltx.LAYOUTS)
    in_file = {f"model.diffusion_model.{name}": x for name, x in original.items()}
    renamed = files.convert_ltx_transformer_checkpoint_to_diffusers(in_file)
    assert {*renamed} == {*diffusers}
    assert all(np.array_equal(renamed[name], x) for name, x in diffusers.items())
    back = ours(ltx.table(TINY, "original"), original, target)
    assert jax.tree.all(jax.tree.map(np.array_equal, back, params))
    for layout, own in zip(ltx.LAYOUTS, (diffusers, original), strict=True):
        assert FAMILIES["ltx-video-2b"].layout_of(own) == layout
