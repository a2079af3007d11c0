"""LingBot-VA's released transformer: its names fill the recipe, and it predicts what Wan's blocks
of diffusers do in its arrangement."""

import copy

import jax
import numpy as np
import pytest
from einops import rearrange

from tests.pretrained.denoised import published, state
from wamjax.model.layout import angles_of
from wamjax.model.segments import Segment
from wamjax.pretrained import lingbot_va, wan
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.denoiser import layout_of, prediction
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import ours
from wamjax.recipes.lingbot_va import lingbot_va as recipe
from wamjax.recipes.network import shapes

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from tests.pretrained.theirs import noisy  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_to_compile")

TINY = wan.Sizes(heads=3, head_dim=16, depth=2, mlp=80, text=12, channels=3)
ACTIONS = 5


def make(sizes: wan.Sizes, actions: int):
    """diffusers' Wan with the edges of the release, under its names."""
    model = diffusers.WanTransformer3DModel(
        num_attention_heads=sizes.heads,
        attention_head_dim=sizes.head_dim,
        in_channels=sizes.channels,
        out_channels=sizes.channels,
        text_dim=sizes.text,
        ffn_dim=sizes.mlp,
        num_layers=sizes.depth,
        rope_max_seq_len=32,
    )
    del model.patch_embedding
    model.patch_embedding_mlp = torch.nn.Linear(wan.PATCH**2 * sizes.channels, sizes.width)
    model.action_embedder = torch.nn.Linear(actions, sizes.width)
    model.action_proj_out = torch.nn.Linear(sizes.width, actions)
    model.condition_embedder_action = copy.deepcopy(model.condition_embedder)
    return model


def test_its_names_fill_the_recipe():
    family = FAMILIES["lingbot-va"]
    table, target = family.layouts["diffusers"](), family.target()
    of_recipe = shapes(recipe("full"))
    assert jax.tree.all(jax.tree.map(lambda a, b: a.shape == b.shape, of_recipe, target))
    named = published(lambda: make(lingbot_va.SIZES, lingbot_va.ACTIONS))
    # The text part of the second clock has two maps that nothing reads.
    assert len(checked(table, target, named)) == len(named) - 4


def predicted(model, angles, video, action, text, video_sigma, action_sigma):
    """Video and action tokens in one sequence, in which everything sees everything."""
    words = model.condition_embedder.text_embedder(text)
    levels, shared = [], []
    clocks = (model.condition_embedder, model.condition_embedder_action)
    for clock, x, sigma in zip(clocks, (video, action), (video_sigma, action_sigma), strict=True):
        count = x.shape[1]
        times = (1000 * sigma).repeat_interleave(count)
        level, vectors, _, _ = clock(times, text, None, timestep_seq_len=count)
        levels.append(level)
        shared.append(vectors.unflatten(2, (6, -1)))
    level, vectors = torch.cat(levels, 1), torch.cat(shared, 1)
    wide = torch.tensor(angles).double().repeat_interleave(2, dim=-1)[None, :, None]
    x = torch.cat([model.patch_embedding_mlp(video), model.action_embedder(action)], dim=1)
    for block in model.blocks:
        x = block(x, words, vectors, (wide.cos(), wide.sin()))
    shift, scale = (model.scale_shift_table[None] + level[:, :, None]).unbind(2)
    x = model.norm_out(x) * (1 + scale) + shift
    count = video.shape[1]
    return model.proj_out(x[:, :count]), model.action_proj_out(x[:, count:])


@pytest.mark.parametrize(
    ("seed", "grid", "batch", "words", "chunk"),
    [(0, (3, 2, 3), 2, 7, 4), pytest.param(1, (2, 4, 1), 3, 5, 6, marks=pytest.mark.slow)],
)
def test_predictions_are_those_of_diffusers_blocks(parity, seed, grid, batch, words, chunk):
    torch.manual_seed(seed)
    model = noisy(make(TINY, ACTIONS), seed)
    rng = np.random.default_rng(seed)
    count = int(np.prod(grid))

    def draw(*shape):
        return rng.normal(size=(batch, *shape)).astype(np.float32)

    patches = draw(count, wan.PATCH, wan.PATCH, TINY.channels)
    action, text = draw(chunk, ACTIONS), draw(words, TINY.text)
    sigma = rng.uniform(size=(2, batch)).astype(np.float32)
    segments = (
        Segment(stream="text", frames=words),
        Segment(stream="video", copy="noisy", frames=grid[0], rows=grid[1], columns=grid[2]),
        Segment(
            stream="action", copy="noisy", frames=chunk, start=0.2, stride=0.2, corner=(-1.0, -1.0)
        ),
    )
    config = lingbot_va.config(TINY)
    angles = angles_of(config, config.stacks[0], layout_of(segments))[words:, 0]
    params = ours(lingbot_va.table(TINY), state(model), lingbot_va.target(TINY, ACTIONS))
    flat = rearrange(patches, "B N p q c -> B N (p q c)")
    levels = {"video": sigma[0], "action": sigma[1]}
    got = prediction(config, params, segments, (text, flat, action), levels)
    with torch.no_grad():
        theirs = rearrange(patches, "B N p q c -> B N (c p q)")
        told = (torch.tensor(x, dtype=torch.float64) for x in (theirs, action, text, *sigma))
        truth = predicted(model, angles, *told)
    for stream, want in zip(("video", "action"), truth, strict=True):
        shape = (batch, *grid, chunk)
        parity("LingBot-VA", stream, seed, shape, got[stream], want.numpy(), 1e-5)
