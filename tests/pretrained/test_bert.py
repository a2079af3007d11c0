"""Our BERT is transformers' BERT, given the same weights."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the reference; the extra `reference` brings it")
pytest.importorskip("transformers", reason="the reference; the extra `reference` brings it")

from tests.pretrained import theirs  # noqa: E402
from wamjax.codec import bert  # noqa: E402
from wamjax.core.typing import Params  # noqa: E402
from wamjax.pretrained.bert import transformers_bert  # noqa: E402
from wamjax.pretrained.bijection import checked  # noqa: E402
from wamjax.pretrained.moves import ours  # noqa: E402
from wamjax.pretrained.originals.text import bert_module  # noqa: E402

TINY = bert.sizes(50, 32, 48, 3, 4, places=40)
TOLERANCE = 1e-5


def fresh(sizes: bert.BertSizes) -> Params:
    """Shapes of our weights."""
    tokens = jax.ShapeDtypeStruct((1, 4), jnp.int32)
    mask = jax.ShapeDtypeStruct((1, 4), jnp.bool_)
    made = jax.eval_shape(bert.BertEncoder(sizes).init, jax.random.key(0), tokens, mask)
    return nn.unbox(made["params"])


@functools.partial(jax.jit, static_argnums=0)
def encoded(sizes, params, tokens, mask):
    return bert.BertEncoder(sizes).apply({"params": params}, tokens, mask)


@pytest.mark.parametrize(
    ("seed", "batch", "length"), [(0, 3, 9), pytest.param(1, 2, 40, marks=pytest.mark.slow)]
)
def test_it_is_theirs(parity, seed, batch, length):
    model = theirs.noisy(bert_module(TINY).fresh(), seed)
    params = ours(transformers_bert(TINY), theirs.tensors(model), fresh(TINY))
    rng = np.random.default_rng(seed)
    tokens = rng.integers(TINY.vocabulary, size=(batch, length))
    mask = np.arange(length)[None] < rng.integers(1, length + 1, size=(batch, 1))
    with torch.no_grad():
        truth = model(torch.tensor(tokens), torch.tensor(mask).long()).last_hidden_state
    with jax.default_matmul_precision("highest"):
        got = encoded(TINY, params, tokens, mask)
    parity("BERT", "encoder", seed, (batch, length), got, truth.numpy(), TOLERANCE)
    # A sentence is the mean of its words, of length 1.
    real = torch.tensor(mask)[..., None].double()
    mean = (truth * real).sum(1) / real.sum(1)
    want = torch.nn.functional.normalize(mean, dim=-1).numpy()
    pooled = bert.sentence(got, jnp.asarray(mask))
    parity("BERT", "sentence", seed, (batch, length), pooled, want, TOLERANCE)


def test_names_are_a_bijection_at_full_size():
    target = fresh(bert.MINILM_L6)
    shapes = theirs.shapes(bert_module(bert.MINILM_L6).fresh)
    checked(transformers_bert(bert.MINILM_L6), target, shapes)
    # The published 22,713,216 less the pooler's 384 x 385.
    assert sum(leaf.size for leaf in jax.tree.leaves(target)) == 22_565_376


def test_a_text_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="40 places"):
        bert.BertEncoder(TINY).init(
            jax.random.key(0), jnp.zeros((1, 41), jnp.int32), jnp.ones((1, 41), bool)
        )
