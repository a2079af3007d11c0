"""FastWAM's published policies: their names fill the recipe, which predicts what Wan's blocks of
diffusers do in their arrangement."""

import collections
import dataclasses
import hashlib

import jax
import numpy as np
import pytest
from einops import rearrange

from tests.pretrained.denoised import predicted, state
from wamjax.pretrained import fast_wam, wan
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import ours, their_shapes
from wamjax.pretrained.opened import open_tensors
from wamjax.recipes.blueprint import Shape
from wamjax.recipes.fast_wam import assembled
from wamjax.recipes.fast_wam import fast_wam as recipe
from wamjax.recipes.network import shapes

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from tests.pretrained.fast_wam_reference import Reference, of_lerobot, published  # noqa: E402
from tests.pretrained.theirs import noisy  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_to_compile")

VIDEO = wan.Sizes(heads=3, head_dim=16, depth=2, mlp=80, text=12, channels=3)
TINY = fast_wam.Sizes(VIDEO, width=20, mlp=28, action=5, proprio=4)
# SHA-256 of the lines "name shape", sorted, of what `save_checkpoint` of FastWAM (45d8e14) holds,
# and of the state of LeRobot's FastWAM (7427f31) behind "model.": both built on the meta device.
STATE = {
    ("fast-wam", "original"): "38858aded0dfca32ef8bfa2aa19d569244139d7ab0a40d44e81c51b63c098de9",
    ("fast-wam", "lerobot"): "359e39e22de475247ed6e44928c3777eefb6d3f24a72c9090d647ec4cb19b351",
    (
        "fast-wam-robotwin",
        "original",
    ): "608fc5822be907862c4a834657da672991761838cf6eb88f4bdb02b15f5fe538",
    (
        "fast-wam-robotwin",
        "lerobot",
    ): "9e14650d6f1845ee0d614b1176b72b7b04a8abc2b16f0835c2c22aca4b96366f",
}


def digest(named) -> str:
    lines = sorted(f"{name} {x.shape}" for name, x in named.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def weights(model) -> dict[str, np.ndarray]:
    """Of the reference, as FastWAM names them."""
    return {published(name): x for name, x in state(model).items()}


def equal(one, other) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))


@pytest.mark.parametrize("name", ["fast-wam", "fast-wam-robotwin"])
def test_its_names_fill_the_recipe(name):
    family = FAMILIES[name]
    target = family.target()
    blueprint = recipe("full", family.form)
    of_recipe = shapes(blueprint)
    assert jax.tree.all(jax.tree.map(lambda a, b: a.shape == b.shape, of_recipe, target))
    # Tokens of a recipe hold whole patches.
    assert fast_wam.config(fast_wam.LIBERO) == dataclasses.replace(blueprint.model, patch=wan.PATCH)
    of_source = {layout: their_shapes(make(), target) for layout, make in family.layouts.items()}
    for layout in ("original", "lerobot"):
        assert digest(of_source[layout]) == STATE[name, layout]
    before = {f"model.{one}": x for one, x in of_source["original"].items()}
    assert digest(before) == digest(of_source["lerobot-mixtures"])
    for layout, named in of_source.items():
        assert family.layout_of(named) == layout
        assert len(checked(family.layouts[layout](), target, named)) == len(named)


def test_a_file_of_theirs_is_read(tmp_path):
    """With what else it tells, and as LeRobot names the same."""
    torch.manual_seed(0)
    named = weights(noisy(Reference(TINY), 0))
    target = fast_wam.target(TINY)
    params = ours(fast_wam.table(TINY), named, target)
    parts = {}
    for part in ("mot", "proprio_encoder"):
        begin = f"{part}."
        parts[part] = collections.OrderedDict(
            (name.removeprefix(begin), torch.tensor(x))
            for name, x in named.items()
            if name.startswith(begin)
        )
        parts[part]._metadata = {"": {"version": 1}}
    torch.save({**parts, "step": 20_000, "torch_dtype": "torch.bfloat16"}, tmp_path / "theirs.pt")
    found = open_tensors(tmp_path / "theirs.pt")
    assert {*found.shapes} == {*named}
    read = {name: found.read(name) for name in found.shapes}
    assert equal(ours(fast_wam.table(TINY), read, target), params)
    lerobot = {of_lerobot(name): x for name, x in named.items()}
    assert equal(ours(fast_wam.table(TINY, "lerobot"), lerobot, target), params)
    older = {f"model.{name}": x for name, x in named.items()}
    assert equal(ours(fast_wam.table(TINY, "lerobot-mixtures"), older, target), params)


@pytest.mark.parametrize(
    ("seed", "grid", "batch", "words", "chunk"),
    [(0, (3, 2, 3), 2, 7, 4), pytest.param(1, (2, 4, 1), 3, 5, 6, marks=pytest.mark.slow)],
)
def test_predictions_are_those_of_diffusers_blocks(parity, seed, grid, batch, words, chunk):
    torch.manual_seed(seed)
    model = noisy(Reference(TINY), seed)
    rng = np.random.default_rng(seed)
    frames, rows, columns = grid
    features = wan.PATCH**2 * VIDEO.channels
    shape = Shape(
        words=words,
        text=VIDEO.text,
        rows=rows,
        columns=columns,
        future=frames - 1,
        latent=features,
        chunk=chunk,
        action=TINY.action,
        proprio=TINY.proprio,
    )
    widths = (
        (VIDEO.width, VIDEO.mlp),
        (TINY.width, TINY.mlp),
        (VIDEO.depth, VIDEO.heads, VIDEO.head_dim),
    )
    blueprint = assembled(shape, widths, "release")

    def draw(*shape):
        return rng.normal(size=(batch, *shape)).astype(np.float32)

    video, action = draw(frames, rows, columns, features), draw(chunk, TINY.action)
    text, proprio = draw(words, VIDEO.text), draw(TINY.proprio)
    sigma = rng.uniform(size=(2, batch)).astype(np.float32)
    tokens = video.reshape(batch, -1, features)
    first = rows * columns
    values = (text, proprio[:, None], tokens[:, :first], tokens[:, first:], action)
    levels = {"video": sigma[0], "action": sigma[1]}
    params = ours(fast_wam.table(TINY), weights(model), fast_wam.target(TINY))
    got = predicted(blueprint, params, values, levels)
    with torch.no_grad():
        latents = rearrange(video, "B L h w (p q c) -> B c L (h p) (w q)", p=wan.PATCH, q=wan.PATCH)
        told = (latents, action, text, proprio, *sigma)
        truth = model(*(torch.tensor(x, dtype=torch.float64) for x in told))
    assert {*got} == {"video", "action"}
    wanted = {"video": truth[0][:, first:], "action": truth[1]}
    for stream, want in wanted.items():
        parity("FastWAM", stream, seed, (batch, *grid, chunk), got[stream], want.numpy(), 1e-5)
