"""Words of bytes: which byte belongs where, and that the instruction matters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from wamjax.codec.text import TextEncoder, words_of
from wamjax.core.text import encode_text


def codes(*texts: str) -> jax.Array:
    return jnp.asarray(np.stack([encode_text(text, 64) for text in texts]))


TEXTS = codes("reach the red cube", "reach the blue cube", "", "  push  it ")
ENCODER = TextEncoder(width=32, words=6)
WEIGHTS = nn.unbox(ENCODER.init(jax.random.key(0), TEXTS))
encode = jax.jit(ENCODER.apply)


@pytest.mark.parametrize("text", ["reach the red cube", " a  bc ", "é ü", ""])
def test_words_are_those_of_split(text):
    member = np.asarray(words_of(codes(text), 8))[0]
    found = [encode_text(text, 64)[row > 0].tobytes().decode() for row in member if row.any()]
    assert found == text.split()


def test_words_beyond_the_last_token_share_it():
    member = np.asarray(words_of(codes("a b c d"), 3))[0]
    assert member.sum(-1).tolist() == [1, 1, 2]


def test_the_mask_counts_words_and_the_empty_text_has_one_token():
    tokens, mask, pooled = encode(WEIGHTS, TEXTS)
    assert mask.sum(-1).tolist() == [4, 4, 1, 2]
    assert not np.any(np.asarray(tokens)[~np.asarray(mask)])
    np.testing.assert_array_equal(tokens[2, 0], WEIGHTS["params"]["null"])
    assert np.all(np.isfinite(pooled))


def test_a_batch_encodes_as_its_samples_do():
    for whole, alone in zip(encode(WEIGHTS, TEXTS), encode(WEIGHTS, TEXTS[1:2]), strict=True):
        np.testing.assert_allclose(whole[1], alone[0], rtol=1e-5, atol=1e-6)


def test_padding_beyond_the_text_changes_nothing():
    tight = TEXTS[:2, : len("reach the blue cube")]
    for short, long in zip(encode(WEIGHTS, tight), encode(WEIGHTS, TEXTS[:2]), strict=True):
        np.testing.assert_allclose(short, long, rtol=1e-5, atol=1e-6)


def test_order_matters_to_the_pooled_vector():
    """Words so far apart that no convolution joins them."""
    far = " " * 16
    pooled = encode(WEIGHTS, codes(f"{far}red{far}to{far}", f"{far}to{far}red{far}", "", ""))[2]
    assert float(jnp.abs(pooled[0] - pooled[1]).max()) > 0.05


def test_a_colour_is_learned_from_scratch_in_a_few_steps():
    colours = ("red", "blue", "green", "yellow")
    places = ("reach the {} cube", "push the {} cube to the spot")
    text = codes(*(place.format(colour) for place in places for colour in colours))
    label = jnp.arange(8) % 4
    head = jax.random.normal(jax.random.key(1), (32, 4)) / 32**0.5
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(weights, state):
        def loss(weights):
            logits = ENCODER.apply(weights, text)[2] @ head
            return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean(), logits

        (_, logits), slope = jax.value_and_grad(loss, has_aux=True)(weights)
        updates, state = optimizer.update(slope, state)
        return optax.apply_updates(weights, updates), state, logits

    weights, state = WEIGHTS, optimizer.init(WEIGHTS)
    for _ in range(40):
        weights, state, logits = step(weights, state)
    assert logits.argmax(-1).tolist() == label.tolist()


def test_every_weight_is_declared_with_its_axes():
    boxed = jax.eval_shape(ENCODER.init, jax.random.key(0), TEXTS)
    for leaf in jax.tree.leaves(boxed, is_leaf=lambda x: isinstance(x, nn.LogicallyPartitioned)):
        assert isinstance(leaf, nn.LogicallyPartitioned)
        assert len(leaf.names) == leaf.value.ndim
