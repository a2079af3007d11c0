"""Word pieces of bytes, in a program: the numbers of Hugging Face's tokenizers."""

import functools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wamjax.codec.word_pieces import Vocabulary, read_vocabulary, word_pieces
from wamjax.core.errors import UserError
from wamjax.core.text import encode_text

tokenizers = pytest.importorskip("tokenizers", reason="the reference; the extra `text` brings it")

LENGTH, BYTES = 14, 48
WORDS = ("put", "the", "red", "cube", "on", "a", "green", "plate", "stack", "un", "##stack", "ed")
LETTERS = "abcdegiklnoprstu"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


@functools.cache
def both():
    """Their tokenizer and our vocabulary: some letters and marks, and pieces of two and three."""
    rng = np.random.default_rng(0)
    runs = {"".join(rng.choice(list(LETTERS), rng.integers(2, 4))) for _ in range(150)}
    pieces = [*SPECIAL, *WORDS, *LETTERS, *(f"##{x}" for x in LETTERS), *",.!-'", *sorted(runs)]
    pieces += [f"##{x}" for x in sorted(runs)]
    pieces = list(dict.fromkeys(pieces))
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    whole = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    whole.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    whole.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    whole.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    whole.enable_padding(length=LENGTH)
    whole.enable_truncation(LENGTH)
    return whole, Vocabulary(tuple(pieces))


@functools.cache
def ours():
    _, vocabulary = both()
    return jax.jit(lambda text: word_pieces(text, LENGTH, vocabulary))


def check(texts):
    whole, _ = both()
    told = np.stack([encode_text(text, BYTES) for text in texts])
    tokens, mask = ours()(told)
    for text, row, real in zip(texts, tokens, mask, strict=True):
        want = whole.encode(text[:BYTES])
        assert row.tolist() == want.ids, (text, want.tokens)
        assert real.tolist() == [bool(x) for x in want.attention_mask]


def test_instructions():
    check(
        [
            "put the RED cube on a green plate",
            "unstack the blocks, then close-it!",
            "",
            "  it's   open...  ",
            "zebra drawer quux",
            "a" * 48,
            "the the the the the the the the the the the",
            "cubeq plate",
        ]
    )


ALPHABET = st.one_of(
    st.sampled_from(LETTERS),
    st.sampled_from(" ,.!-'"),
    st.characters(min_codepoint=32, max_codepoint=126),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=BYTES), min_size=8, max_size=8))
def test_any_printable_text(texts):
    check(texts)


def test_it_reads_the_files(tmp_path):
    whole, vocabulary = both()
    whole.save(str(tmp_path / "tokenizer.json"))
    assert read_vocabulary(tmp_path / "tokenizer.json") == vocabulary
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary.pieces) + "\n")
    assert read_vocabulary(tmp_path / "vocab.txt") == vocabulary


def test_other_tokenizers_are_refused(tmp_path):
    whole = tokenizers.Tokenizer(tokenizers.models.BPE())
    whole.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UserError, match="no tokenizer of lower-case word pieces"):
        read_vocabulary(tmp_path / "tokenizer.json")
