"""GE-Act's published policy: its names fill the recipe, which predicts what LTX's blocks of
diffusers do in its arrangement."""

import dataclasses

import jax
import numpy as np
import pytest

from tests.pretrained.denoised import predicted, state
from wamjax.pretrained import ge_act, ltx
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import ours, their_shapes
from wamjax.recipes.blueprint import Shape
from wamjax.recipes.ge_act import assembled
from wamjax.recipes.ge_act import ge_act as recipe
from wamjax.recipes.network import shapes

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from tests.pretrained.ge_act_reference import Reference  # noqa: E402
from tests.pretrained.theirs import noisy  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_to_compile")

# Feed-forward parts of diffusers' blocks are four times as wide; cameras meet in the first and the
# last of four layers.
VIDEO = ltx.Sizes(heads=2, head_dim=16, depth=4, mlp=128, text=12, channels=6)
TINY = ge_act.Sizes(VIDEO, heads=2, head_dim=10, mlp=80, action=5)


def test_its_names_fill_the_recipe():
    family = FAMILIES["ge-act"]
    target = family.target()
    blueprint = recipe("full", "release")
    of_recipe = shapes(blueprint)
    assert jax.tree.all(jax.tree.map(lambda a, b: a.shape == b.shape, of_recipe, target))
    assert ge_act.config(ge_act.AGIBOT) == dataclasses.replace(blueprint.model, patch=1)
    table = family.layouts["diffusers"]()
    named = their_shapes(table, target)
    with torch.device("meta"):
        source = Reference(ge_act.AGIBOT)
    declared = {name: tuple(x.shape) for name, x in source.state_dict().items()}
    assert {name: tuple(x.shape) for name, x in named.items()} == declared
    assert len(checked(table, target, named)) == len(named) == 1429


@pytest.mark.parametrize(
    ("seed", "grid", "views", "batch", "words", "chunk"),
    [
        (0, (3, 2, 3), 3, 2, 7, 4),
        pytest.param(1, (2, 1, 4), 2, 3, 5, 6, marks=pytest.mark.slow),
        pytest.param(2, (4, 3, 1), 1, 1, 3, 3, marks=pytest.mark.slow),
    ],
)
def test_predictions_are_those_of_diffusers_blocks(parity, seed, grid, views, batch, words, chunk):
    torch.manual_seed(seed)
    sizes = dataclasses.replace(TINY, views=views)
    model = noisy(Reference(sizes), seed)
    rng = np.random.default_rng(seed)
    frames, rows, columns = grid
    past, cells = frames - 1, rows * columns
    shape = Shape(
        words=words,
        text=VIDEO.text,
        views=views,
        rows=rows,
        columns=columns,
        past=past,
        future=1,
        latent=VIDEO.channels,
        chunk=chunk,
        action=sizes.action,
        proprio=sizes.action,
    )
    widths = (
        (VIDEO.width, VIDEO.mlp, VIDEO.heads, VIDEO.head_dim),
        (sizes.width, sizes.mlp, sizes.heads, sizes.head_dim),
        VIDEO.depth,
    )
    blueprint = assembled(shape, widths, "release")

    def draw(*shape):
        return rng.normal(size=(batch, *shape)).astype(np.float32)

    latents = draw(views, frames, rows, columns, VIDEO.channels)
    text, proprio, action = (
        draw(words, VIDEO.text),
        draw(1, sizes.action),
        draw(chunk, sizes.action),
    )
    sigma = rng.uniform(size=(2, batch)).astype(np.float32)
    # The memory is nearly clean, by camera.
    memory = 0.1 * rng.uniform(size=(batch, views)).astype(np.float32)
    values = []
    for segment in blueprint.training.segments:
        times = slice(0, past) if segment.copy == "clean" else slice(past, frames)
        seen = latents[:, segment.view, times].reshape(batch, -1, VIDEO.channels)
        table = {"text": text, "proprio": proprio, "action": action, "video": seen}
        values.append(table[segment.stream])
    levels = {
        "video": sigma[0],
        "action": sigma[1],
        "video/clean": memory,
    }
    params = ours(ge_act.table(sizes), state(model), ge_act.target(sizes))
    got = predicted(blueprint, params, values, levels)
    known = np.repeat(memory[:, :, None], past * cells, axis=2)
    times = np.concatenate(
        [known, np.broadcast_to(sigma[0][:, None, None], (batch, views, cells))], 2
    )
    told = (latents, text, proprio, action, times, sigma[1])
    with torch.no_grad():
        video, chunks = model(*(torch.tensor(x, dtype=torch.float64) for x in told))
    assert {*got} == {"video", "action"}
    future = video[:, :, past * cells :].flatten(1, 2).numpy()
    size = (batch, views, *grid, chunk)
    parity("GE-Act", "video", seed, size, got["video"], future, 1e-5)
    parity("GE-Act", "action", seed, size, got["action"], chunks.numpy(), 1e-5)
