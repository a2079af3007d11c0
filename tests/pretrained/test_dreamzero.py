"""DreamZero's published policies: their names fill the recipe, which predicts what Wan's blocks of
diffusers do in their arrangement."""

import dataclasses
import hashlib

import jax
import numpy as np
import pytest
from einops import rearrange

from tests.pretrained.denoised import predicted, state
from wamjax.core.errors import UserError
from wamjax.pretrained import dreamzero, wan
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import ours, their_shapes
from wamjax.recipes.blueprint import Shape
from wamjax.recipes.dreamzero import OF_RELEASE, assembled
from wamjax.recipes.dreamzero import dreamzero as recipe
from wamjax.recipes.network import shapes

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from tests.pretrained.dreamzero_reference import Reference, published  # noqa: E402
from tests.pretrained.theirs import noisy  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_to_compile")

TRUNK = wan.Sizes(
    heads=3, head_dim=16, depth=2, mlp=80, text=12, channels=4, image=10, beside=5
)  # fmt: skip
TINY = {
    "release": dreamzero.Sizes(TRUNK, hidden=9, action=5, proprio=4),
    "wan22": dreamzero.Sizes(
        dataclasses.replace(TRUNK, beside=0), hidden=9, action=5, proprio=4
    ),
}  # fmt: skip
FULL = {"dreamzero": dreamzero.WAN21, "dreamzero-wan22": dreamzero.WAN22}
# SHA-256 of the lines "name shape", sorted, of what CausalWanModel of DreamZero (ab790c1) holds
# with the settings of its two configs, behind "action_head.model.": built on the meta device.
STATE = {
    "dreamzero": "08183c5298896c72f5c65f789116aad837532581b249a770511e1875c191e266",
    "dreamzero-wan22": "22e2069e5a14511560e7cdb4dc23d3b90086a0569be5c6cae6c4a5071cb9c797",
}


def digest(named) -> str:
    lines = sorted(f"{name} {x.shape}" for name, x in named.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("name", FULL)
def test_its_names_fill_the_recipe(name):
    family = FAMILIES[name]
    target = family.target()
    blueprint = recipe("full", family.form)
    of_recipe = shapes(blueprint)
    assert jax.tree.all(jax.tree.map(lambda a, b: a.shape == b.shape, of_recipe, target))
    # Tokens of a recipe hold whole patches.
    assert dreamzero.config(FULL[name]) == dataclasses.replace(blueprint.model, patch=wan.PATCH)
    table = family.layouts["original"]()
    named = their_shapes(table, target)
    assert digest(named) == STATE[name]
    # The frozen encoders stand in the same file.
    one = next(iter(named.values()))
    beside = {f"action_head.{part}.weight": one for part in ("text_encoder", "vae.model", "vae")}
    assert len(checked(table, target, named | beside)) == len(named)
    # Adapters are to be merged first.
    adapter = "action_head.model.base_model.model.blocks.0.self_attn.q.lora_A.default.weight"
    with pytest.raises(UserError, match=r"do not fit \(1 "):
        checked(table, target, named | {adapter: one})


@pytest.mark.parametrize(
    ("form", "seed", "grid", "batch", "blocks", "chunk"),
    [
        ("release", 11, (2, 2, 3), 2, 2, 4),
        ("wan22", 1, (2, 1, 4), 1, 3, 3),
        pytest.param("release", 2, (3, 4, 1), 3, 1, 5, marks=pytest.mark.slow),
        pytest.param("wan22", 3, (1, 2, 2), 2, 4, 2, marks=pytest.mark.slow),
    ],
)
def test_predictions_are_those_of_diffusers_blocks(parity, form, seed, grid, batch, blocks, chunk):
    torch.manual_seed(seed)
    sizes, (future, rows, columns) = TINY[form], grid
    trunk, frames = sizes.trunk, 1 + future * blocks
    model = noisy(Reference(sizes, future), seed)
    rng = np.random.default_rng(seed)
    width = wan.PATCH**2 * (trunk.channels + trunk.beside)
    words, pieces = 7, 6
    shape = Shape(
        words=words,
        text=trunk.text,
        rows=rows,
        columns=columns,
        future=future,
        latent=width,
        chunk=chunk,
        action=sizes.action,
        proprio=sizes.proprio,
    )
    widths = (trunk.width, trunk.mlp, trunk.depth, trunk.heads, trunk.head_dim)
    blueprint = assembled(shape, widths, form, blocks, (pieces, trunk.image, sizes.hidden))

    def draw(*shape):
        return rng.normal(size=(batch, *shape)).astype(np.float32)

    def latents(channels):
        return draw(channels, frames, rows * wan.PATCH, columns * wan.PATCH)

    clean, noise = latents(trunk.channels), latents(trunk.channels)
    beside = latents(trunk.beside) if trunk.beside else None
    text, image = draw(words, trunk.text), draw(pieces, trunk.image)
    action, proprio = draw(blocks * chunk, sizes.action), draw(blocks, sizes.proprio)
    # A level for each block of the video and each of the actions.
    sigma = rng.uniform(size=(2, batch, blocks)).astype(np.float32)

    def tokens(video):
        whole = video if beside is None else np.concatenate([video, beside], axis=1)
        return rearrange(whole, "B c L (h p) (w q) -> B L (h w) (p q c)", p=wan.PATCH, q=wan.PATCH)

    video, pasts, values = tokens(noise), tokens(clean), []
    for segment in blueprint.training.segments:
        first = 1 + (segment.block - 1) * future if segment.block else 0
        numbers = slice((segment.block - 1) * segment.frames, segment.block * segment.frames)
        table = {
            "text/clean": lambda: text,
            "image/clean": lambda: image,
            "action/noisy": lambda numbers=numbers: action[:, numbers],
            "proprio/clean": lambda numbers=numbers: proprio[:, numbers],
        }
        for copy, of in (("clean", pasts), ("noisy", video)):
            there = of[:, first : first + segment.frames].reshape(batch, -1, width)
            table[f"video/{copy}"] = lambda there=there: there
        values.append(table[segment.kind]())
    levels = {"video": sigma[0], "action": sigma[1]}
    named = {published(name): x for name, x in state(model).items()}
    params = ours(dreamzero.table(sizes), named, dreamzero.target(sizes))
    got = predicted(blueprint, params, values, levels)
    by_frame = np.concatenate([np.ones((batch, 1)), sigma[0].repeat(future, axis=1)], axis=1)
    told = (clean, noise, beside, action, proprio, text, image)
    told += (by_frame, sigma[1].repeat(chunk, axis=1))
    with torch.no_grad():
        truth = model(*(None if x is None else torch.tensor(x, dtype=torch.float64) for x in told))
    assert {*got} == {"video", "action"}
    for stream, want in zip(("video", "action"), truth, strict=True):
        size = (form, batch, *grid, blocks, chunk)
        parity("DreamZero", stream, seed, size, got[stream], want.numpy(), 1e-5)


def test_the_forms_are_those_of_the_families():
    forms = {family.form for family in FAMILIES.values() if family.recipe == "dreamzero"}
    assert forms == {*OF_RELEASE}
