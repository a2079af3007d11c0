"""Cosmos-Predict2's transformer is diffusers', given the same weights under either names."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from einops import rearrange

from tests.pretrained.denoised import published, state
from wamjax.model.segments import Segment
from wamjax.model.tokens import latents_from_tokens, tokens_from_latents
from wamjax.pretrained import cosmos
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.denoiser import prediction
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import ours, their_shapes, theirs
from wamjax.pretrained.originals.video import cosmos_module
from wamjax.recipes import backbones
from wamjax.recipes.blueprint import Size
from wamjax.recipes.cosmos_policy import cosmos_policy
from wamjax.recipes.cosmos_policy import model as recipe
from wamjax.recipes.network import shapes

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from tests.pretrained.theirs import noisy  # noqa: E402

TINY = cosmos.Sizes(heads=3, head_dim=20, depth=3, mlp=240, text=12, channels=4, rank=5)
FPS = 10


def test_the_model_is_that_of_the_recipe():
    size: Size = "full"
    sizes = cosmos.SIZES["cosmos-predict2-2b"]
    (stack,), (trunk,) = cosmos.config(sizes).stacks, recipe(size).stacks
    assert stack.experts == trunk.experts == (backbones.cosmos("video", sizes.width, sizes.mlp),)
    assert stack.rotary == trunk.rotary
    assert cosmos.config(sizes).ports == recipe(size).ports


def test_cosmos_policys_files_fill_the_recipe():
    """The same names and shapes as the video model's, in the tree of the recipe."""
    policy, video = (FAMILIES[name] for name in ("cosmos-policy", "cosmos-predict2-2b"))
    target = shapes(cosmos_policy("full"))
    assert jax.tree.all(jax.tree.map(lambda a, b: a.shape == b.shape, target, policy.target()))
    named = their_shapes(video.layouts["original"](), video.target())
    assert len(checked(policy.layouts["original"](), target, named)) == len(named)


def test_shapes_are_those_of_diffusers_at_full_size():
    family = FAMILIES["cosmos-predict2-2b"]
    sizes = cosmos.SIZES[family.name]
    named = published(cosmos_module(sizes, padding=True).fresh)
    target = family.target()
    assert len(checked(family.layouts["diffusers"](), target, named)) == len(named)
    count = sum(x.size for x in jax.tree.leaves(target))
    assert count == sum(math.prod(x.shape) for x in named.values())
    print(f"{count / 1e9:.2f} billion weights in {len(named)} tensors")


@pytest.mark.parametrize(
    ("seed", "shape", "batch", "words"),
    [
        (0, (3, 4, 6), 2, 7),
        pytest.param(1, (1, 8, 6), 1, 5, marks=pytest.mark.slow),
        pytest.param(2, (5, 2, 4), 3, 9, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("per_frame", [False, True])
def test_predictions_are_those_of_diffusers(parity, seed, shape, batch, words, per_frame):
    torch.manual_seed(seed)
    model = noisy(cosmos_module(TINY, padding=False).fresh(), seed)
    frames, height, width = shape
    rng = np.random.default_rng(seed)
    size = (batch, frames, height, width, TINY.channels + cosmos.MASKS)
    latents = rng.normal(size=size).astype(np.float32)
    text = rng.normal(size=(batch, words, TINY.text)).astype(np.float32)
    sigma = rng.uniform(size=(batch, frames if per_frame else 1)).astype(np.float32)
    times = torch.tensor(sigma)
    with torch.no_grad():
        truth = model(
            torch.tensor(rearrange(latents, "B L h w c -> B c L h w"), dtype=torch.float64),
            times[:, None, :, None, None] if per_frame else times[:, 0],
            torch.tensor(text, dtype=torch.float64),
            fps=FPS,
        ).sample.numpy()

    grid = {"rows": height // 2, "columns": width // 2, "stride": 24 / FPS}
    pieces = frames if per_frame else 1
    segments = (
        Segment(stream="text", frames=words),
        *(
            Segment(
                stream="video",
                copy="noisy",
                frames=frames // pieces,
                start=place * 24 / FPS,
                **grid,
            )
            for place in range(pieces)
        ),
    )
    values = (
        text,
        *(
            np.asarray(tokens_from_latents(jnp.asarray(part), cosmos.PATCH))
            for part in np.split(latents, pieces, axis=1)
        ),
    )
    params = ours(cosmos.table(TINY), state(model), cosmos.target(TINY))
    config = cosmos.config(TINY, qk_eps=1e-5)
    got = prediction(config, params, segments, values, {"video": sigma})["video"]
    got = latents_from_tokens(got, (frames, height // 2, width // 2), cosmos.PATCH)
    part = "level per frame" if per_frame else "one level"
    truth = rearrange(truth, "B c L h w -> B L h w c")
    parity("Cosmos-Predict2", f"transformer, {part}", seed, size, got, truth, 1e-5)


def test_diffusers_renames_original_files_as_the_tables_do():
    files = pytest.importorskip("diffusers.loaders.single_file_utils")
    rng = np.random.default_rng(0)
    target = cosmos.target(TINY)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), target)
    diffusers, original = (theirs(cosmos.table(TINY, k), params) for k in cosmos.LAYOUTS)
    in_file = {f"net.{name}": x for name, x in original.items()}
    renamed = files.convert_cosmos_transformer_checkpoint_to_diffusers(in_file)
    assert {*renamed} == {*diffusers}
    assert all(np.array_equal(renamed[name], x) for name, x in diffusers.items())
    # What is in such files and is no weight.
    beside = ("accum_iteration", "pos_embedder.seq", "blocks.0.self_attn.q_norm._extra_state")
    extra = original | {name: np.zeros(1, np.float32) for name in beside}
    back = ours(cosmos.table(TINY, "original"), extra, target)
    assert jax.tree.all(jax.tree.map(np.array_equal, back, params))
    for layout, own in zip(cosmos.LAYOUTS, (diffusers, original), strict=True):
        assert FAMILIES["cosmos-predict2-2b"].layout_of(own) == layout
