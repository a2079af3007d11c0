"""Texts to token numbers, by a tokenizer's file that stands here; nothing is downloaded.

tokenizer.json   of Hugging Face's tokenizers
*.model          of SentencePiece: pieces, then its end token, as T5 has it
"""

import dataclasses
import html
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from wamjax.core.errors import UserError

PADDING = ("[PAD]", "<pad>", "<PAD>", "<|endoftext|>")


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """Rows of token numbers of one length.

    Attributes:
        encode: a text and the most tokens it may have -> its numbers, those of begin and end among
            them, also where it was cut.
        padding: the number behind the last token.
    """

    encode: Callable[[str, int], list[int]]
    padding: int

    def __call__(self, texts: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
        """Token numbers int32 [B, length] and which of them are real, bool [B, length]."""
        tokens = np.full((len(texts), length), self.padding, np.int32)
        mask = np.zeros((len(texts), length), bool)
        for row, text in enumerate(texts):
            numbers = self.encode(text, length)
            tokens[row, : len(numbers)], mask[row, : len(numbers)] = numbers, True
        return tokens, mask


def cleaned(text: str) -> str:
    """As Wan cleans a text before it is told: HTML's escapes undone, spaces single.

    Wan also lets ftfy mend letters that were decoded wrongly, which is left to whoever has such.
    """
    return " ".join(html.unescape(html.unescape(text)).split())


def read_tokenizer(path: str | pathlib.Path) -> Tokenizer:
    """The tokenizer of a file.

    Raises:
        UserError: there is no such file, it is no tokenizer's, or its library is not installed.
    """
    place = pathlib.Path(path)
    if not place.is_file():
        raise UserError(f"there is no tokenizer at {place}; check the path.")
    kinds = {".json": _of_tokenizers, ".model": _of_sentencepiece}
    if place.suffix not in kinds:
        raise UserError(f"{place} is neither a tokenizer.json nor a SentencePiece .model file.")
    try:
        return kinds[place.suffix](place)
    except ImportError as error:
        raise UserError(
            f"{place} needs the package {error.name}: pip install 'wamjax[text]'."
        ) from error


def _of_tokenizers(place: pathlib.Path) -> Tokenizer:
    import tokenizers

    try:
        whole = tokenizers.Tokenizer.from_file(str(place))
    except Exception as error:  # the library raises no narrower one
        raise UserError(f"{place} is no file of tokenizers ({error}).") from error
    told = whole.padding
    found = [number for number in map(whole.token_to_id, PADDING) if number is not None]
    padding = told["pad_id"] if told else found[0] if found else 0
    whole.no_padding()

    def encode(text: str, length: int) -> list[int]:
        whole.enable_truncation(length)
        return whole.encode(text).ids

    return Tokenizer(encode, padding)


def _of_sentencepiece(place: pathlib.Path) -> Tokenizer:
    import sentencepiece

    try:
        whole = sentencepiece.SentencePieceProcessor(model_file=str(place))
    except (OSError, RuntimeError) as error:
        raise UserError(f"{place} is no SentencePiece model ({error}).") from error

    def encode(text: str, length: int) -> list[int]:
        return [*whole.encode(text)[: length - 1], whole.eos_id()]

    return Tokenizer(encode, max(whole.pad_id(), 0))
