"""GE-Act's published policy: its names fill the recipe, which predicts what LTX-Video's blocks of
diffusers do in its arrangement."""

import hashlib

import jax
import numpy as np
import pytest

from tests.pretrained.denoised import predicted, state
from wamjax.pretrained import ge_act, ltx
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import ours, their_shapes
from wamjax.recipes.blueprint import Shape
from wamjax.recipes.ge_act import Form, assembled
from wamjax.recipes.ge_act import ge_act as recipe
from wamjax.recipes.network import shapes

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from tests.pretrained.ge_act_reference import Reference, published  # noqa: E402
from tests.pretrained.theirs import noisy  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_to_compile")

# Four layers: cameras meet in the first and in the last.
VIDEO = ltx.Sizes(heads=4, head_dim=16, depth=4, mlp=256, text=12, channels=5)
TINY = ge_act.Sizes(VIDEO, heads=2, head_dim=8, mlp=64, action=5, views=3)
# SHA-256 of the lines "name shape", sorted, of the state of its transformer (7e007c7) with the
# settings of its policies, built on the meta device.
STATE = {
    "ge-act": "65962fe986353bf9e1b576b2085912ca1e6e1bb25a181efc9b241518ec274762",
    "ge-act-libero": "79390fddf41d04122065e04d6bedcd9bc320f1df5dbab8a15d5e39f205350aee",
    "ge-act-calvin": "2c2bf787b47acb95664522cffb38b22f21b34279b6b4a0d11b10f1e1a72b7d74",
}
OF: dict[str, tuple[Form, ge_act.Sizes]] = {
    "ge-act": ("release", ge_act.AGIBOT),
    "ge-act-libero": ("libero", ge_act.LIBERO),
    "ge-act-calvin": ("calvin", ge_act.CALVIN),
}


@pytest.mark.parametrize("name", [*STATE])
def test_its_names_fill_the_recipe(name):
    family = FAMILIES[name]
    target = family.target()
    form, sizes = OF[name]
    assert (family.recipe, family.form) == ("ge_act", form)
    blueprint = recipe("full", form)
    of_recipe = shapes(blueprint)
    assert jax.tree.structure(of_recipe) == jax.tree.structure(target)
    assert jax.tree.all(jax.tree.map(lambda a, b: a.shape == b.shape, of_recipe, target))
    assert ge_act.config(sizes) == blueprint.model
    table = family.layouts["diffusers"]()
    named = their_shapes(table, target)
    assert len(checked(table, target, named)) == len(named) == 1429
    lines = sorted(f"{name} {x.shape}" for name, x in named.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == STATE[name]


@pytest.mark.parametrize(
    ("seed", "grid", "views", "batch", "words", "chunk"),
    [
        (0, (3, 2, 2), 3, 2, 7, 4),
        pytest.param(1, (4, 1, 3), 2, 3, 5, 6, marks=pytest.mark.slow),
    ],
)
def test_predictions_are_those_of_diffusers_blocks(parity, seed, grid, views, batch, words, chunk):
    torch.manual_seed(seed)
    model = noisy(Reference(TINY), seed)
    rng = np.random.default_rng(seed)
    (frames, rows, columns), past = grid, grid[0] - 1
    shape = Shape(
        words=words,
        text=VIDEO.text,
        views=views,
        rows=rows,
        columns=columns,
        past=past,
        future=frames - past,
        latent=VIDEO.channels,
        chunk=chunk,
        action=TINY.action,
        proprio=TINY.action,
    )
    widths = (
        (VIDEO.width, VIDEO.mlp, VIDEO.heads, VIDEO.head_dim),
        (TINY.width, TINY.mlp, TINY.heads, TINY.head_dim),
        VIDEO.depth,
    )
    blueprint = assembled(shape, widths, "release", TINY.views)

    def draw(*shape):
        return rng.normal(size=(batch, *shape)).astype(np.float32)

    latents = draw(views, frames, rows, columns, VIDEO.channels)
    text, now, action = draw(words, VIDEO.text), draw(TINY.action), draw(chunk, TINY.action)
    heard = np.arange(words) < rng.integers(1, words, (batch, 1))
    sigma = rng.uniform(size=(2, batch)).astype(np.float32)
    tokens = latents.reshape(batch, views, frames, rows * columns, VIDEO.channels)
    given, later = (
        [part.reshape(batch, -1, VIDEO.channels) for part in np.moveaxis(own, 1, 0)]
        for own in (tokens[:, :, :past], tokens[:, :, past:])
    )
    values = (text, *given, *later, now[:, None], action)
    count = sum(segment.count for segment in blueprint.training.segments)
    real = np.concatenate([heard, np.ones((batch, count - words), bool)], axis=1)
    levels = {"video": sigma[0], "action": sigma[1]}
    named = {published(name): x for name, x in state(model).items()}
    params = ours(ge_act.table(TINY), named, ge_act.target(TINY))
    got = predicted(blueprint, params, values, levels, real)
    clock = np.zeros((batch, views, frames, rows * columns))
    clock[:, :, past:] = sigma[0][:, None, None, None]
    with torch.no_grad():
        given = (latents, text, heard, now, action, clock.reshape(batch, views, -1), sigma[1])
        truth = model(
            *(torch.tensor(x, dtype=None if x.dtype == bool else torch.float64) for x in given)
        )
    assert {*got} == {"video", "action"}
    seen = truth[0][:, :, past * rows * columns :].flatten(1, 2)
    for stream, want in {"video": seen, "action": truth[1]}.items():
        shape = (batch, views, *grid, chunk)
        parity("GE-Act", stream, seed, shape, got[stream], want.numpy(), 1e-5)
