"""Our Qwen3-VL is transformers', given the same weights: words, pictures and both together."""

import copy
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
pytest.importorskip("transformers", reason="the reference; the extra `reference` brings it")

import transformers as hf  # noqa: E402

from tests.pretrained import theirs  # noqa: E402
from wamjax.codec import qwen3, qwen3_vision, qwen3_vl  # noqa: E402
from wamjax.core.typing import Params  # noqa: E402
from wamjax.pretrained import encoders  # noqa: E402
from wamjax.pretrained import qwen3_vl as tables  # noqa: E402
from wamjax.pretrained.bijection import checked  # noqa: E402
from wamjax.pretrained.moves import ours  # noqa: E402
from wamjax.pretrained.originals.pictures import (  # noqa: E402
    qwen3_config,
    qwen3_patches,
    qwen3_vision_config,
    qwen3_vl_module,
)

WORDS = qwen3.sizes(60, 32, 48, 3, 4, 2, 12, across=(2, 1), pads=(57, 58))
SIGHT = qwen3_vision.sizes(3, 24, 40, 2, out=32, grid=5, taps=(0, 2), patch=4)
BOTH = qwen3_vl.Qwen3VlSizes(vision=SIGHT, language=WORDS)
START, END, PICTURE, VIDEO = 54, 55, *WORDS.pads
TOLERANCE = 1e-5


def language() -> hf.PreTrainedModel:
    """The part that reads."""
    return hf.Qwen3VLTextModel(hf.Qwen3VLTextConfig(**qwen3_config(WORDS)))


def vision() -> hf.PreTrainedModel:
    """The part that looks."""
    return hf.Qwen3VLVisionModel(hf.Qwen3VLVisionModel.config_class(**qwen3_vision_config(SIGHT)))


def fresh_language(sizes: qwen3.Qwen3Sizes) -> Params:
    """Shapes of the weights that read."""
    given = [jax.ShapeDtypeStruct((1, 4), kind) for kind in (jnp.int32, jnp.bool_)]
    given.append(jax.ShapeDtypeStruct((1, 4, 3), jnp.int32))
    made = jax.eval_shape(qwen3.Qwen3(sizes).init, jax.random.key(0), *given)
    return nn.unbox(made["params"])


def fresh_vision(sizes: qwen3_vision.VisionSizes) -> Params:
    """Shapes of the weights that look."""
    frames = jax.ShapeDtypeStruct((1, sizes.frames, sizes.side, sizes.side, 3), jnp.float32)
    made = jax.eval_shape(qwen3_vision.Qwen3Vision(sizes).init, jax.random.key(0), frames)
    return nn.unbox(made["params"])


@functools.partial(jax.jit, static_argnums=(0, 1))
def told(sizes, dtype, params, words, mask, position):
    return qwen3.Qwen3(sizes, dtype).apply({"params": params}, words, mask, position)


def drawn_words(seed: int, batch: int, length: int, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Words without pads, and a mask with padding on a side of a text of any length."""
    rng = np.random.default_rng(seed)
    words = rng.integers(min(WORDS.pads), size=(batch, length))
    mask = np.arange(length)[None] < rng.integers(1, length + 1, size=(batch, 1))
    return words, mask if side == "right" else mask[:, ::-1]


@pytest.mark.parametrize(
    ("seed", "batch", "length", "side"),
    [
        (0, 3, 9, "right"),
        pytest.param(1, 2, 9, "left", marks=pytest.mark.slow),
        pytest.param(2, 2, 70, "right", marks=pytest.mark.slow),
    ],
)
def test_words_alone_are_theirs(parity, seed, batch, length, side):
    model = theirs.noisy(language(), seed)
    params = ours(tables.transformers_qwen3(WORDS), theirs.tensors(model), fresh_language(WORDS))
    words, mask = drawn_words(seed, batch, length, side)
    position = np.maximum(mask.cumsum(1) - 1, 0)[..., None].repeat(3, 2)
    given = {"input_ids": torch.tensor(words), "attention_mask": torch.tensor(mask.copy()).long()}
    given |= {"position_ids": torch.tensor(position.transpose(2, 0, 1))}
    with torch.no_grad():
        truth = model(**given).last_hidden_state.numpy()[mask]
        half = copy.deepcopy(model).bfloat16()(**given).last_hidden_state.float().numpy()[mask]
    with jax.default_matmul_precision("highest"):
        got = told(WORDS, jnp.float32, params, words, mask, position)[mask]
    parity("Qwen3-VL", "words", seed, (batch, length), got, truth, TOLERANCE)
    # In bfloat16 we are as near to the truth as they are.
    ours_half = told(WORDS, jnp.bfloat16, params, words, mask, position)[mask]
    assert np.abs(ours_half - truth).mean() <= 1.1 * np.abs(half - truth).mean()


def test_no_word_looks_ahead_or_at_padding():
    model = language()
    params = ours(tables.transformers_qwen3(WORDS), theirs.tensors(model), fresh_language(WORDS))
    words, mask = drawn_words(0, 3, 9, "right")
    position = np.arange(9)[None, :, None].repeat(3, 0).repeat(3, 2)
    later = words.copy()
    later[:, 5:] += 1
    padded = np.where(mask, words, words + 1)
    a, b, c = (told(WORDS, jnp.float32, params, x, mask, position) for x in (words, later, padded))
    np.testing.assert_array_equal(a[:, :5], b[:, :5])
    np.testing.assert_array_equal(np.asarray(a)[mask], np.asarray(c)[mask])
    assert not np.allclose(np.asarray(a)[mask], np.asarray(b)[mask])


def drawn_frames(seed: int, batch: int, count: int, grid: tuple[int, int]) -> np.ndarray:
    """Frames in [-1, 1] of so many tokens."""
    rows, columns = (SIGHT.side * x for x in grid)
    shape = (batch, count, rows, columns, 3)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def their_patches(frames: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """(patches of each of the batch, one (frames, rows, columns) of them for each)."""
    cut, grids = qwen3_patches(SIGHT, frames)
    return torch.tensor(cut).double(), torch.tensor(grids)


@functools.partial(jax.jit, static_argnums=(0, 1))
def looked_at(sizes, dtype, params, frames):
    return qwen3_vision.Qwen3Vision(sizes, dtype).apply({"params": params}, frames)


@pytest.mark.parametrize(
    ("seed", "batch", "count", "grid"),
    [(0, 2, 4, (2, 3)), pytest.param(1, 1, 2, (4, 1), marks=pytest.mark.slow)],
)
def test_what_it_sees_is_theirs(parity, seed, batch, count, grid):
    model = theirs.noisy(vision(), seed)
    table = tables.transformers_qwen3_vision(SIGHT)
    params = ours(table, theirs.tensors(model), fresh_vision(SIGHT))
    frames = drawn_frames(seed, batch, count, grid)
    patches, grids = their_patches(frames)
    patches = patches.flatten(0, 1)

    def seen(model, patches):
        with torch.no_grad():
            out = model(patches, grids)
        parts = [part.double().numpy() for part in (out.pooler_output, *out.deepstack_features)]
        own = [part.reshape(batch, -1, SIGHT.out) for part in parts]
        return own[0], np.stack(own[1:])

    with jax.default_matmul_precision("highest"):
        got = looked_at(SIGHT, jnp.float32, params, frames)
    tokens, deep = seen(model, patches)
    assert got.tokens.shape == (batch, count // 2 * grid[0] * grid[1], SIGHT.out)
    parity("Qwen3-VL", "pictures", seed, frames.shape, got.tokens, tokens, TOLERANCE)
    parity("Qwen3-VL", "pictures, deep", seed, frames.shape, got.deep, deep, TOLERANCE)
    # In bfloat16 we are as near to the truth as they are.
    half, half_deep = seen(model.bfloat16(), patches.bfloat16())
    ours_half = looked_at(SIGHT, jnp.bfloat16, params, frames)
    for own, other, truth in (
        (ours_half.tokens, half, tokens),
        (ours_half.deep, half_deep, deep),
    ):
        assert np.abs(own - truth).mean() <= 1.1 * np.abs(other - truth).mean()


def text(rng: np.random.Generator, pad: int, counts: tuple[int, ...]) -> list[int]:
    """Words with pictures of so many tokens between them."""
    drawn = functools.partial(rng.integers, START)
    words = drawn(size=3).tolist()
    for count in counts:
        words += [START, *[pad] * count, END, *drawn(size=rng.integers(1, 4)).tolist()]
    return words


def padded(rows: list[list[int]], side: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of one length, and which of their words are real."""
    longest = max(map(len, rows))
    words, mask = np.zeros((len(rows), longest), int), np.zeros((len(rows), longest), bool)
    for place, row in enumerate(rows):
        own = slice(len(row)) if side == "right" else slice(longest - len(row), None)
        words[place, own], mask[place, own] = row, True
    return words, mask


def whole(seed: int) -> hf.PreTrainedModel:
    return theirs.noisy(qwen3_vl_module(BOTH).fresh(), seed)


@pytest.mark.parametrize("side", ["right", "left"])
def test_positions_are_theirs(side):
    rng = np.random.default_rng(0)
    grids = ((2, 3), (4, 1), (1, 1))
    counts = tuple(rows * columns for rows, columns in grids)
    # The last row shows two of the three.
    rows = [text(rng, PICTURE, counts), text(rng, PICTURE, counts[:2])]
    words, mask = padded(rows, side)
    patches = [(1, 2 * rows, 2 * columns) for rows, columns in (*grids, *grids[:2])]
    want, _ = whole(0).model.get_rope_index(
        torch.tensor(words),
        torch.tensor(words == PICTURE).int(),
        image_grid_thw=torch.tensor(patches),
        attention_mask=torch.tensor(mask).long(),
    )
    got = qwen3_vl.positions(words, mask, grids, WORDS.pads)
    np.testing.assert_array_equal(got, want.permute(1, 2, 0).numpy())


@functools.partial(jax.jit, static_argnums=(0, 1))
def encoded(sizes, dtype, params, words, mask, position, pictures):
    encoder = qwen3_vl.Qwen3VlEncoder(sizes, dtype)
    return encoder.apply({"params": params}, words, mask, position, pictures)


THEIRS = {
    PICTURE: ("pixel_values", "image_grid_thw"),
    VIDEO: ("pixel_values_videos", "video_grid_thw"),
}


def told_to_them(words: np.ndarray, mask: np.ndarray, pictures: tuple[np.ndarray, ...]) -> dict:
    """The same as they take it: the pictures of a row one behind the other, then of the next."""
    parts = [their_patches(frames) for frames in pictures]
    patches = torch.cat([part for row in zip(*(p for p, _ in parts), strict=True) for part in row])
    grids = torch.stack([grid for row in zip(*(g for _, g in parts), strict=True) for grid in row])
    given = {"input_ids": torch.tensor(words), "attention_mask": torch.tensor(mask).long()}
    for kind, (pad, names) in enumerate(THEIRS.items(), start=1):
        if (words == pad).any():
            given |= dict(zip(names, (patches, grids), strict=True))
            given["mm_token_type_ids"] = kind * torch.tensor(words == pad).int()
    return given


@pytest.mark.parametrize(
    ("seed", "grids", "moments", "side", "pad"),
    [
        (0, ((2, 3), (4, 1)), 1, "right", PICTURE),
        pytest.param(1, ((3, 2),), 1, "left", PICTURE, marks=pytest.mark.slow),
        pytest.param(2, ((2, 2), (2, 2)), 1, "right", PICTURE, marks=pytest.mark.slow),
        pytest.param(3, ((1, 2),), 3, "right", VIDEO, marks=pytest.mark.slow),
    ],
)
def test_words_and_pictures_are_theirs(parity, seed, grids, moments, side, pad):
    rng = np.random.default_rng(seed)
    shown = [grid for grid in grids for _ in range(moments)]
    counts = tuple(rows * columns for rows, columns in shown)
    words, mask = padded([text(rng, pad, counts) for _ in range(2)], side)
    pictures = tuple(
        drawn_frames(seed + place, 2, 2 * moments, grid) for place, grid in enumerate(grids)
    )
    given = told_to_them(words, mask, pictures)
    model = whole(seed)
    with torch.no_grad():
        truth = model.model(**given).last_hidden_state.numpy()[mask]
        half = copy.deepcopy(model.model).bfloat16()(**given).last_hidden_state
    half = half.float().numpy()[mask]
    encoder = qwen3_vl.Qwen3VlEncoder(BOTH)
    table = tables.transformers_qwen3_vl(BOTH)
    params = ours(table, theirs.tensors(model), encoders.target(encoder))
    position = qwen3_vl.positions(words, mask, shown, WORDS.pads)
    with jax.default_matmul_precision("highest"):
        got = encoded(BOTH, jnp.float32, params, words, mask, position, pictures)[mask]
        dark = tuple(0 * frames for frames in pictures)
        blind = encoded(BOTH, jnp.float32, params, words, mask, position, dark)[mask]
    name = "words and pictures" if pad == PICTURE else "words and video"
    parity("Qwen3-VL", name, seed, (*words.shape, *grids), got, truth, TOLERANCE)
    assert np.abs(got - blind).max() > 0.1
    # In bfloat16 we are as near to the truth as they are.
    ours_half = encoded(BOTH, jnp.bfloat16, params, words, mask, position, pictures)[mask]
    assert np.abs(ours_half - truth).mean() <= 1.1 * np.abs(half - truth).mean()


def test_names_are_a_bijection_at_full_size():
    sizes = qwen3_vl.QWEN3_VL_2B
    target = encoders.target(qwen3_vl.Qwen3VlEncoder(sizes))
    shapes = theirs.shapes(qwen3_vl_module(sizes).fresh)
    checked(tables.transformers_qwen3_vl(sizes), target, shapes)
    assert sum(leaf.size for leaf in jax.tree.leaves(target)) == 2_127_532_032
