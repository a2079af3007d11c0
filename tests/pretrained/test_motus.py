"""Motus's published policies: their names fill the recipe, which predicts what Wan's blocks of
diffusers and its own small experts do in their arrangement."""

import collections
import dataclasses

import jax
import numpy as np
import pytest
from einops import rearrange

from tests.pretrained.denoised import predicted, state
from wamjax.core.errors import UserError
from wamjax.pretrained import motus, wan
from wamjax.pretrained.bijection import checked
from wamjax.pretrained.families import FAMILIES
from wamjax.pretrained.moves import ours, their_shapes
from wamjax.pretrained.opened import open_tensors
from wamjax.recipes.blueprint import Shape
from wamjax.recipes.motus import assembled
from wamjax.recipes.motus import motus as recipe
from wamjax.recipes.network import shapes

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
from tests.pretrained.motus_reference import Reference, again, published  # noqa: E402
from tests.pretrained.theirs import noisy  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_to_compile")

VIDEO = wan.Sizes(heads=3, head_dim=16, depth=2, mlp=80, text=12, channels=3)
TINY = motus.Sizes(
    VIDEO, acting=(20, 28), mind=(12, 18), told=10, action=5, proprio=4, registers=2
)  # fmt: skip
# Tensors that are trained, or begin with Wan's.
COUNT = 1363


def test_its_names_fill_the_recipe():
    family = FAMILIES["motus"]
    target = family.target()
    blueprint = recipe("full", family.form)
    of_recipe = shapes(blueprint)
    assert jax.tree.all(jax.tree.map(lambda a, b: a.shape == b.shape, of_recipe, target))
    # Tokens of a recipe hold whole patches.
    assert motus.config(motus.ROBOTWIN) == dataclasses.replace(blueprint.model, patch=wan.PATCH)
    table = family.layouts["original"]()
    named = their_shapes(table, target)
    assert len(named) == COUNT
    with torch.device("meta"):
        source = Reference(motus.ROBOTWIN)
    declared = {published(name): tuple(x.shape) for name, x in source.state_dict().items()}
    assert {name: tuple(x.shape) for name, x in named.items()} == declared
    # What the same file holds beside them.
    one = next(iter(named.values()))
    beside = {"vlm_model.lm_head.weight": one, "action_expert.input_encoder.pos_embedding": one}
    beside["pipeline_stage_embedding.weight"] = one
    assert len(checked(table, target, named | again(named) | beside)) == len(named)
    # Adapters are to be merged first.
    with pytest.raises(UserError, match=r"do not fit \(1 "):
        checked(table, target, named | {"action_expert.blocks.0.wan_action_qkv_lora_A": one})


def test_a_file_of_theirs_is_read(tmp_path):
    torch.manual_seed(0)
    model = noisy(Reference(TINY), 0)
    named = {published(name): x for name, x in state(model).items()}
    target = motus.target(TINY)
    params = ours(motus.table(TINY), named, target)
    held = collections.OrderedDict(
        (name, torch.tensor(x)) for name, x in (named | again(named)).items()
    )
    told = {"module": held, "optimizer": None, "global_steps": 7, "ds_version": "0.16"}
    torch.save(told, tmp_path / "mp_rank_00_model_states.pt")
    found = open_tensors(tmp_path / "mp_rank_00_model_states.pt", "module.")
    moves = checked(motus.table(TINY), target, found.shapes)
    assert len(moves) == len(named)
    read = {name: found.read(name) for name in named}
    again_ours = ours(motus.table(TINY), read, target)
    assert jax.tree.all(jax.tree.map(np.array_equal, again_ours, params))


@pytest.mark.parametrize(
    ("seed", "grid", "batch", "words", "chunk"),
    [(0, (3, 2, 3), 2, 7, 4), pytest.param(1, (2, 4, 1), 3, 5, 6, marks=pytest.mark.slow)],
)
def test_predictions_are_those_of_their_blocks(parity, seed, grid, batch, words, chunk):
    torch.manual_seed(seed)
    model = noisy(Reference(TINY), seed)
    rng = np.random.default_rng(seed)
    frames, rows, columns = grid
    features, states = wan.PATCH**2 * VIDEO.channels, 5
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
        TINY.acting,
        TINY.mind,
        (VIDEO.depth, VIDEO.heads, VIDEO.head_dim),
        (states, TINY.told),
        TINY.registers,
    )
    blueprint = assembled(shape, widths, "release")

    def draw(*shape):
        return rng.normal(size=(batch, *shape)).astype(np.float32)

    video, action = draw(frames, rows, columns, features), draw(chunk, TINY.action)
    text, proprio = draw(words, VIDEO.text), draw(TINY.proprio)
    told = draw(states, TINY.told)
    sigma = rng.uniform(size=(2, batch)).astype(np.float32)
    tokens = video.reshape(batch, -1, features)
    first = rows * columns
    numbers = np.tile(np.arange(TINY.registers, dtype=np.float32)[:, None], (batch, 1, 1))
    table = {
        "text/clean": text,
        "proprio/clean": proprio[:, None],
        "register/clean": numbers,
        "feature/clean": told,
        "video/clean": tokens[:, :first],
        "video/noisy": tokens[:, first:],
        "action/noisy": action,
    }
    values = [table[segment.kind] for segment in blueprint.training.segments]
    levels = {"video": sigma[0], "action": sigma[1]}
    named = {published(name): x for name, x in state(model).items()}
    params = ours(motus.table(TINY), named, motus.target(TINY))
    got = predicted(blueprint, params, values, levels)
    latents = rearrange(video, "B L h w (p q c) -> B c L (h p) (w q)", p=wan.PATCH, q=wan.PATCH)
    with torch.no_grad():
        asked = (latents, action, text, proprio, told, *sigma)
        frames_out, actions_out = model(*(torch.tensor(x, dtype=torch.float64) for x in asked))
    assert {*got} == {"video", "action"}
    wanted = {"video": frames_out[:, first:], "action": actions_out}
    for stream, want in wanted.items():
        parity("Motus", stream, seed, (batch, *grid, chunk), got[stream], want.numpy(), 1e-5)
