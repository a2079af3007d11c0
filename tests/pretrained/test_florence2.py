"""Our encoder of Florence-2 is transformers', given the same weights."""

import copy
import dataclasses
import functools
import hashlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
pytest.importorskip("transformers", reason="the reference; the extra `reference` brings it")

from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil  # noqa: E402

from tests.pretrained import theirs  # noqa: E402
from wamjax.codec import florence2  # noqa: E402
from wamjax.codec.davit import Davit, davit  # noqa: E402
from wamjax.codec.vit import IMAGENET  # noqa: E402
from wamjax.pretrained import encoders  # noqa: E402
from wamjax.pretrained.bijection import checked  # noqa: E402
from wamjax.pretrained.florence2 import original_florence2, transformers_florence2  # noqa: E402
from wamjax.pretrained.moves import expand, ours, their_shapes  # noqa: E402
from wamjax.pretrained.moves import theirs as named  # noqa: E402
from wamjax.pretrained.originals.pictures import florence2_module  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_to_compile")
TOLERANCE = 1e-5


def tiny() -> florence2.Florence2Sizes:
    """Small, and with other counts of heads than of groups, other in every stage."""
    vision = davit((16, 24, 32), (1, 2, 1), head_dim=8, window=3)
    groups = (4, 2, 8)
    stages = [
        dataclasses.replace(stage, groups=count)
        for stage, count in zip(vision.stages, groups, strict=True)
    ]
    vision = dataclasses.replace(vision, stages=tuple(stages))
    return florence2.sizes(vision, 32, 40, 2, 4, grid=9, vocabulary=60, places=50)


TINY = tiny()
# The word that stands for cells of a picture in transformers.
CELL = TINY.vocabulary - 1


def fresh(sizes: florence2.Florence2Sizes):
    """Shapes of our weights."""
    return encoders.target(florence2.Florence2Encoder(sizes))


@functools.lru_cache(maxsize=1)
def pair(seed: int):
    """Their model and our weights."""
    model = theirs.noisy(florence2_module(TINY).fresh(), seed)
    return model, ours(transformers_florence2(TINY), theirs.tensors(model), fresh(TINY))


@functools.partial(jax.jit, static_argnums=0)
def part_by_part(dtype, params, words, mask, pictures):
    """What the encoder and its parts make, in one program."""
    encoder = florence2.Florence2Encoder(TINY, dtype)
    whole, kept = encoder.apply(
        {"params": params},
        words,
        mask,
        pictures,
        capture_intermediates=lambda part, _: isinstance(part, Davit | florence2.Projector),
    )
    made = kept["intermediates"]
    return {
        "tower": made["tower"]["__call__"][0],
        "tokens of a picture": made["projector"]["__call__"][0],
        "words alone": encoder.apply({"params": params}, words, mask, method="read"),
        "picture and words": whole,
    }


def photographs(seed: int, batch: int, height: int, width: int):
    """Pictures uint8, what their processor makes of them, and ours in [-1, 1]."""
    drawn = np.random.default_rng(seed).integers(
        256, size=(batch, height, width, 3), dtype=np.uint8
    )
    processor = CLIPImageProcessorPil(
        do_resize=False,
        do_center_crop=False,
        image_mean=list(IMAGENET.mean),
        image_std=list(IMAGENET.deviation),
    )
    made = processor(list(drawn), return_tensors="pt").pixel_values
    return torch.as_tensor(made).double(), (drawn / 127.5 - 1).astype(np.float32)


def instructions(seed: int, batch: int, length: int):
    """Words, and which are real: any number of them, one at least."""
    rng = np.random.default_rng(seed)
    words = rng.integers(CELL, size=(batch, length))
    return words, np.arange(length)[None] < rng.integers(1, length + 1, size=(batch, 1))


# Grids of these end in 4 x 5, 3 x 3 (of whole windows in all stages) and 1 x 4 cells.
CASES = [
    (0, 2, 50, 70, 9),
    pytest.param(1, 1, 48, 48, 12, marks=pytest.mark.slow),
    pytest.param(2, 3, 16, 50, 5, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("seed", "batch", "height", "width", "length"), CASES)
def test_it_is_theirs(parity, seed, batch, height, width, length):
    model, params = pair(seed)
    pixels, pictures = photographs(seed, batch, height, width)
    words, mask = instructions(seed, batch, length)

    def told(made, dtype):
        cells = torch.full((batch, TINY.tokens(height, width)), CELL)
        reads = {
            "input_ids": torch.cat([cells, torch.tensor(words)], 1),
            "attention_mask": torch.cat([torch.ones_like(cells), torch.tensor(mask).long()], 1),
            "pixel_values": pixels.to(dtype),
        }
        with torch.no_grad():
            return {
                "tower": made.vision_tower(pixels.to(dtype)).last_hidden_state.movedim(1, -1),
                "tokens of a picture": made.get_image_features(pixels.to(dtype)).pooler_output,
                "words alone": made.language_model.encoder(
                    input_ids=torch.tensor(words), attention_mask=torch.tensor(mask).long()
                ).last_hidden_state,
                "picture and words": made(**reads).encoder_last_hidden_state,
            }

    truth = {part: x.numpy() for part, x in told(model, torch.float64).items()}
    with jax.default_matmul_precision("highest"):
        got = part_by_part(jnp.float32, params, words, mask, pictures)
    shape = (batch, height, width, length)
    for part, x in got.items():
        parity("Florence-2", part, seed, shape, x, truth[part], TOLERANCE)
    if seed == 0:
        # In bfloat16 we are as near to the truth as they are.
        half = told(copy.deepcopy(model).bfloat16(), torch.bfloat16)
        for part, x in part_by_part(jnp.bfloat16, params, words, mask, pictures).items():
            away = np.abs(half[part].float().numpy() - truth[part]).mean()
            assert np.abs(x - truth[part]).mean() <= 1.1 * away, part


def test_padding_reaches_no_word():
    _, params = pair(0)
    _, pictures = photographs(0, 2, 50, 70)
    words, mask = instructions(0, 2, 9)
    assert not mask.all()
    other = np.where(mask, words, (words + 1) % CELL)
    with jax.default_matmul_precision("highest"):
        told = [part_by_part(jnp.float32, params, x, mask, pictures) for x in (words, other)]
    a, b = (np.asarray(parts["picture and words"]) for parts in told)
    seen = TINY.tokens(50, 70)
    np.testing.assert_array_equal(a[:, :seen], b[:, :seen])
    np.testing.assert_array_equal(a[:, seen:][mask], b[:, seen:][mask])
    assert (a[:, seen:][~mask] != b[:, seen:][~mask]).any()


def test_what_is_too_large_is_refused():
    make = functools.partial(jax.eval_shape, florence2.Florence2Encoder(TINY).init)
    words, mask = jnp.zeros((1, 2), int), jnp.ones((1, 2), bool)
    with pytest.raises(ValueError, match="10 x 1 cells"):
        make(jax.random.key(0), words, mask, jnp.zeros((1, 16 * 9 + 1, 16, 3)))
    with pytest.raises(ValueError, match="51 tokens, but the encoder has 50 places"):
        make(
            jax.random.key(0),
            jnp.zeros((1, 49), int),
            jnp.ones((1, 49), bool),
            jnp.zeros((1, 9, 9, 3)),
        )


def test_a_picture_has_the_published_count_of_tokens():
    sizes = florence2.FLORENCE2_LARGE
    assert sizes.tokens(768, 768) == 577
    assert sizes.tokens(224, 224) == 50
    tower = Davit(sizes.vision)
    pictures = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    grid, _ = jax.eval_shape(tower.init_with_output, jax.random.key(0), pictures)
    assert grid.shape == (1, 7, 7, 2048)


PUBLISHED = {
    "base": (florence2.FLORENCE2_BASE, 173_913_856),
    "large": (florence2.FLORENCE2_LARGE, 570_706_944),
    "large-ft": (florence2.FLORENCE2_LARGE_FT, 567_561_216),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_are_a_bijection_at_full_size(name):
    sizes, weights = PUBLISHED[name]
    target = fresh(sizes)
    shapes = theirs.shapes(florence2_module(sizes).fresh)
    checked(transformers_florence2(sizes), target, shapes)
    del shapes["language_model.shared.weight"]
    checked(transformers_florence2(sizes, once=True), target, shapes)
    assert sum(leaf.size for leaf in jax.tree.leaves(target)) == weights


def test_the_port_with_its_further_words():
    """51,290 words, rows up to a multiple of 64, below "model." in the file of the whole."""
    sizes = florence2.ported(florence2.FLORENCE2_BASE)
    assert sizes.vocabulary == 51_328
    shapes = theirs.shapes(florence2_module(sizes, "Florence2ForConditionalGeneration").fresh)
    found = {k.removeprefix("model."): x for k, x in shapes.items()}
    checked(transformers_florence2(sizes), fresh(sizes), found)


# What transformers' converter of Microsoft's files rewrites, from theirs to Microsoft's.
RENAMED = (
    (r"(vision_tower\.convs\.\d+)\.conv\.", r"\1.proj."),
    (r"(conv[12])\.(?=weight|bias)", r"\1.fn.dw."),
    (r"(spatial_block)\.norm1\.", r"\1.window_attn.norm."),
    (r"(channel_block)\.norm1\.", r"\1.channel_attn.norm."),
    (r"norm2\.", r"ffn.norm."),
    (r"(window_attn|channel_attn)\.(qkv|proj)\.", r"\1.fn.\2."),
    (r"ffn\.(fc[12])\.", r"ffn.fn.net.\1."),
    (r"multi_modal_projector\.image_projection\.weight", r"image_projection"),
    (r"multi_modal_projector\.image_position_embed\.", r"image_pos_embed."),
    (r"multi_modal_projector\.", r""),
    (r"language_model\.", r"language_model.model."),
)


def as_microsoft(tensors: dict) -> dict:
    """Their tensors under Microsoft's names; the map of pictures is turned."""
    made = {}
    for name, tensor in tensors.items():
        found = (re.subn(pattern, new, name) for pattern, new in RENAMED)
        made[next((new for new, count in found if count), name)] = tensor
    made["image_projection"] = made["image_projection"].T
    return made


@pytest.mark.parametrize("once", [False, True])
def test_microsofts_names_hold_the_same(once):
    model, want = pair(0)
    tensors = as_microsoft(theirs.tensors(model))
    # Of the whole model, behind the encoder.
    tensors |= {
        "language_model.lm_head.weight": np.zeros((60, 32), np.float32),
        "language_model.final_logits_bias": np.zeros((1, 60), np.float32),
    }
    if once:
        table = tensors.pop("language_model.model.shared.weight")
        tensors["language_model.model.encoder.embed_tokens.weight"] = table
    got = ours(original_florence2(TINY, once=once), tensors, fresh(TINY))
    assert jax.tree.all(jax.tree.map(np.array_equal, got, want))


@pytest.mark.parametrize("table", [transformers_florence2, original_florence2])
def test_out_and_in_again(table):
    _, params = pair(0)
    again = ours(table(TINY), named(table(TINY), params), fresh(TINY))
    assert jax.tree.all(jax.tree.map(np.array_equal, again, params))


# Of the sorted lines "name shape" of what the encoder holds in Microsoft's module as LeRobot had a
# copy of it (huggingface/lerobot at ddc2aa7, src/lerobot/policies/xvla/modeling_florence2.py),
# built on the meta device with the settings of each size.
MICROSOFT = {
    "base": "995879a66e7ce3d7bf28a9e0baebe782a54bf6060b7f79cd168074073efcfceb",
    "large": "2f89c9098a86d5b21b36f67942b4a9b4ae19d2df97efc616ce9e45dce95d268a",
    "large-ft": "7e8f4c9b0b57be1ed5e56e0f0047f00c50ab490ec4727abefb5dcab07decb8fd",
}


@pytest.mark.parametrize("name", MICROSOFT)
def test_microsofts_names_at_full_size(name):
    sizes, _ = PUBLISHED[name]
    target = fresh(sizes)
    table = original_florence2(sizes)
    shapes = their_shapes(table, target)
    assert len(checked(table, target, shapes)) == len(expand(table))
    lines = sorted(f"{key} {x.shape}" for key, x in shapes.items())
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == MICROSOFT[name]
