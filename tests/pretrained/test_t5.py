"""Our T5 encoders are transformers' T5 and UMT5, given the same weights."""

import copy
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
pytest.importorskip("transformers", reason="the reference; the extra `reference` brings it")

from transformers.models.t5 import modeling_t5  # noqa: E402

from tests.pretrained import theirs  # noqa: E402
from wamjax.codec import t5  # noqa: E402
from wamjax.core.typing import Params  # noqa: E402
from wamjax.pretrained.bijection import checked  # noqa: E402
from wamjax.pretrained.moves import ours  # noqa: E402
from wamjax.pretrained.originals.text import t5_module  # noqa: E402
from wamjax.pretrained.t5 import transformers_t5, wan_umt5  # noqa: E402

TINY = {"vocabulary": 50, "width": 32, "mlp": 48, "depth": 3, "heads": 4, "head_dim": 10}
KINDS = {
    "umt5": t5.sizes(**TINY, every_layer=True),
    "t5 v1.1": t5.sizes(**TINY),
    "t5": t5.sizes(**TINY, gated=False),
}
NAMES = {"umt5": "UMT5", "t5 v1.1": "T5 v1.1", "t5": "T5"}
TOLERANCE = 1e-5


def fresh(sizes: t5.T5Sizes) -> Params:
    """Shapes of our weights."""
    tokens = jax.ShapeDtypeStruct((1, 4), jnp.int32)
    mask = jax.ShapeDtypeStruct((1, 4), jnp.bool_)
    made = jax.eval_shape(t5.T5Encoder(sizes).init, jax.random.key(0), tokens, mask)
    return nn.unbox(made["params"])


@functools.partial(jax.jit, static_argnums=(0, 1))
def encoded(sizes, dtype, params, tokens, mask):
    return t5.T5Encoder(sizes, dtype).apply({"params": params}, tokens, mask)


def drawn(seed: int, batch: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and a mask with padding behind a text of any length."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(TINY["vocabulary"], size=(batch, length))
    real = rng.integers(1, length + 1, size=batch)
    return tokens, np.arange(length)[None] < real[:, None]


@pytest.fixture(scope="module", params=sorted(KINDS))
def kind(request):
    return request.param


@pytest.mark.parametrize(
    ("seed", "batch", "length"), [(0, 3, 9), pytest.param(1, 2, 150, marks=pytest.mark.slow)]
)
def test_it_is_theirs(parity, kind, seed, batch, length):
    sizes = KINDS[kind]
    model = theirs.noisy(t5_module(sizes).fresh(), seed)
    params = ours(transformers_t5(sizes), theirs.tensors(model), fresh(sizes))
    tokens, mask = drawn(seed, batch, length)
    with torch.no_grad():
        given = torch.tensor(tokens), torch.tensor(mask).long()
        truth = model(*given).last_hidden_state.numpy()
        half = copy.deepcopy(model).bfloat16()(*given).last_hidden_state.float().numpy()
    with jax.default_matmul_precision("highest"):
        got = encoded(sizes, jnp.float32, params, tokens, mask)
    parity(NAMES[kind], "encoder", seed, (batch, length), got, truth, TOLERANCE)
    # In bfloat16 we are as near to the truth as they are.
    ours_half = encoded(sizes, jnp.bfloat16, params, tokens, mask)
    assert np.abs(ours_half - truth).mean() <= 1.1 * np.abs(half - truth).mean()


def test_padding_reaches_no_word():
    sizes = KINDS["umt5"]
    params = ours(transformers_t5(sizes), theirs.tensors(t5_module(sizes).fresh()), fresh(sizes))
    tokens, mask = drawn(0, 3, 9)
    other = np.where(mask, tokens, (tokens + 1) % TINY["vocabulary"])
    a, b = (encoded(sizes, jnp.float32, params, x, mask) for x in (tokens, other))
    padded_a, padded_b = (t5.padded_with_zeros(x, jnp.asarray(mask), 16) for x in (a, b))
    np.testing.assert_array_equal(padded_a, padded_b)
    assert padded_a.shape == (3, 16, TINY["width"])
    assert not padded_a[:, 9:].any()
    np.testing.assert_array_equal(t5.padded_with_zeros(a, jnp.asarray(mask), 5), padded_a[:, :5])


def test_every_distance_has_their_bucket():
    length = 512
    attention = modeling_t5.T5Attention
    apart = torch.arange(length)[None] - torch.arange(length)[:, None]
    want = attention._relative_position_bucket(apart, True, 32, 128)
    np.testing.assert_array_equal(t5.relative_buckets(length, 32, 128), want.numpy())


PUBLISHED = {
    "UMT5-XXL": (t5.UMT5_XXL, 5_680_910_336),
    "T5-XXL v1.1": (t5.T5_V1_1_XXL, 4_762_310_656),
    "T5-11B": (t5.T5_11B, 4_864_791_552),
    "T5-base": (t5.T5_BASE, 109_628_544),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_are_a_bijection_at_full_size(name):
    sizes, weights = PUBLISHED[name]
    target = fresh(sizes)
    checked(transformers_t5(sizes), target, theirs.shapes(t5_module(sizes).fresh))
    assert sum(leaf.size for leaf in jax.tree.leaves(target)) == weights


def test_wans_own_names():
    """The names of Wan's file, as its source tells them, stand for the same places."""
    wan, hub = wan_umt5(t5.UMT5_XXL), transformers_t5(t5.UMT5_XXL)
    assert {(r.ours, r.turn, r.slot) for r in wan.rules} == {
        (r.ours, r.turn, r.slot) for r in hub.rules
    }
