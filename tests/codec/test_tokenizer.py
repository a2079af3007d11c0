"""Tokenizers from a file: the numbers of the libraries themselves, in rows of one length."""

import numpy as np
import pytest

from wamjax.codec.tokenizer import cleaned, read_tokenizer
from wamjax.core.errors import UserError

TEXTS = [
    "put the red cube on the green plate",
    "open the drawer, then close it!",
    "",
    "Lift the BLUE block; it's behind the bowl.",
    "stack " * 40,
]


@pytest.fixture(scope="module")
def json_file(tmp_path_factory):
    tokenizers = pytest.importorskip("tokenizers")
    whole = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    whole.normalizer = tokenizers.normalizers.BertNormalizer()
    whole.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=90, special_tokens=special, show_progress=False
    )
    whole.train_from_iterator(TEXTS, trainer)
    whole.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    path = tmp_path_factory.mktemp("json") / "tokenizer.json"
    whole.save(str(path))
    return path


@pytest.fixture(scope="module")
def bart_file(tmp_path_factory):
    """Bytes in pairs, as BART's: texts begin with <s>, end with </s> and are padded with <pad>."""
    tokenizers = pytest.importorskip("tokenizers")
    whole = tokenizers.Tokenizer(tokenizers.models.BPE())
    whole.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    whole.train_from_iterator(TEXTS, trainer)
    whole.post_processor = tokenizers.processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), add_prefix_space=False
    )
    path = tmp_path_factory.mktemp("bart") / "tokenizer.json"
    whole.save(str(path))
    return path


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    sentencepiece = pytest.importorskip("sentencepiece")
    stem = tmp_path_factory.mktemp("model") / "spiece"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_prefix=str(stem),
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=9,
    )
    return stem.with_suffix(".model")


@pytest.mark.parametrize("length", [6, 100])
def test_json_as_transformers_reads_it(json_file, length):
    transformers = pytest.importorskip("transformers")
    whole = transformers.PreTrainedTokenizerFast(tokenizer_file=str(json_file), pad_token="[PAD]")
    want = whole(TEXTS, padding="max_length", truncation=True, max_length=length)
    tokens, mask = read_tokenizer(json_file)(TEXTS, length)
    np.testing.assert_array_equal(tokens, want["input_ids"])
    np.testing.assert_array_equal(mask, np.array(want["attention_mask"], bool))
    assert tokens.dtype == np.int32


def test_barts_as_transformers_reads_it(bart_file):
    transformers = pytest.importorskip("transformers")
    whole = transformers.PreTrainedTokenizerFast(tokenizer_file=str(bart_file), pad_token="<pad>")
    want = whole(TEXTS, padding="max_length", truncation=True, max_length=64)
    tokens, mask = read_tokenizer(bart_file)(TEXTS, 64)
    np.testing.assert_array_equal(tokens, want["input_ids"])
    np.testing.assert_array_equal(mask, np.array(want["attention_mask"], bool))
    assert (tokens[:, 0] == 0).all()
    assert (tokens[~mask] == 1).all()
    assert [row[real][-1] for row, real in zip(tokens, mask, strict=True)] == [2] * len(TEXTS)


@pytest.mark.parametrize("length", [6, 100])
def test_sentencepiece_ends_with_its_end(model_file, length):
    sentencepiece = pytest.importorskip("sentencepiece")
    whole = sentencepiece.SentencePieceProcessor(model_file=str(model_file))
    tokens, mask = read_tokenizer(model_file)(TEXTS, length)
    for text, row, real in zip(TEXTS, tokens, mask, strict=True):
        count = min(len(whole.encode(text)) + 1, length)
        assert real.sum() == count
        assert real[:count].all()
        assert row[count - 1] == whole.eos_id() == 1
        np.testing.assert_array_equal(row[: count - 1], whole.encode(text)[: count - 1])
        assert (row[count:] == 0).all()


def test_cleaning():
    assert cleaned("  lift&amp;amp; \n push \t &quot;it&quot; ") == 'lift& push "it"'


@pytest.mark.parametrize("suffix", [".json", ".model"])
def test_a_broken_file_is_told(tmp_path, suffix):
    pytest.importorskip({".json": "tokenizers", ".model": "sentencepiece"}[suffix])
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(b"{}\x00nothing")
    with pytest.raises(UserError, match="is no"):
        read_tokenizer(path)


def test_a_missing_or_foreign_file_is_told(tmp_path):
    with pytest.raises(UserError, match="there is no tokenizer"):
        read_tokenizer(tmp_path / "tokenizer.json")
    (tmp_path / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match="neither"):
        read_tokenizer(tmp_path / "vocab.txt")
