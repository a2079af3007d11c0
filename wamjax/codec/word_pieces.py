"""BERT's word pieces of texts that stand as bytes, within a program; no callback to the host.

    bytes -> lower case -> words (a mark is a word of its own) -> the longest piece that a word
    begins with, then the longest that its rest begins with, ...; [UNK] where there is none

So the instruction stays bytes everywhere, also where a traced perturbation rewrites it. Pieces are
found by two polynomial hashes of 32 bits of all short runs of bytes. The numbers are those of
BertNormalizer, BertPreTokenizer and WordPiece of Hugging Face's tokenizers (arXiv 1609.08144) for
printable ASCII; of others, capitals and accents stay, and words of unknown letters become [UNK].
"""

import dataclasses
import functools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.typing import Array, Bool, Int, UInt8, typed

CONTINUES = "##"
FACTORS = (16_777_619, 2_654_435_761)
# What the hash of a piece within a word begins with, instead of 0.
WITHIN = 97
LONGEST_WORD = 100


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """The pieces and their numbers.

    Attributes:
        pieces: by number; "##" stands before those within a word.
    """

    pieces: tuple[str, ...]

    @functools.cached_property
    def hashes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First hashes in order, the second ones and the numbers of their pieces."""
        found = np.array([self._hashes(piece) for piece in self.pieces], np.uint32)
        order = np.argsort(found[:, 0], kind="stable")
        return found[order, 0], found[order, 1], order.astype(np.int32)

    @functools.cached_property
    def longest(self) -> int:
        """Bytes of the longest piece."""
        return max(len(piece.removeprefix(CONTINUES).encode()) for piece in self.pieces)

    def number(self, piece: str) -> int:
        """Of a piece.

        Raises:
            ValueError: there is none.
        """
        return self.pieces.index(piece)

    def _hashes(self, piece: str) -> tuple[int, ...]:
        within = piece.startswith(CONTINUES) and piece != CONTINUES
        sums = [WITHIN if within else 0] * len(FACTORS)
        for byte in piece.removeprefix(CONTINUES if within else "").encode():
            sums = [(s * f + byte + 1) % 2**32 for s, f in zip(sums, FACTORS)]
        return tuple(sums)


def read_vocabulary(path: str | pathlib.Path) -> Vocabulary:
    """The pieces of a tokenizer.json, or of a vocab.txt with one a line.

    Raises:
        UserError: it holds no word pieces, or of cased letters.
    """
    place = pathlib.Path(path)
    if place.suffix == ".txt":
        return Vocabulary(tuple(place.read_text(encoding="utf-8").splitlines()))
    told = json.loads(place.read_text(encoding="utf-8"))
    model, normalizer = told.get("model") or {}, told.get("normalizer") or {}
    if model.get("type", "WordPiece") != "WordPiece" or normalizer.get("lowercase") is not True:
        raise UserError(f"{place} is no tokenizer of lower-case word pieces, as BERT's is.")
    return Vocabulary(tuple(sorted(model["vocab"], key=model["vocab"].__getitem__)))


def _kinds(text: Array) -> tuple[Array, Array]:
    """Which bytes stand in a word, and which are marks."""
    letter = text > 32
    other = (text < 48) | ((text > 57) & (text < 65)) | ((text > 90) & (text < 97))
    return letter, letter & (other | ((text > 122) & (text < 127)))


def _next(flags: Array) -> Array:
    """The first place at or behind each at which a flag [B, X] stands, X for none."""
    count = flags.shape[1]
    place = jnp.where(flags, jnp.arange(count), count)
    return jax.lax.cummin(place, axis=1, reverse=True)


def _longest(text: Array, first: Array, room: Array, vocabulary: Vocabulary) -> tuple[Array, Array]:
    """Number and bytes of the longest piece that begins at each byte; bytes 0 for none.

    Args:
        text: int [B, X]. first: whether a word begins there. room: bytes to the word's end.
    """
    ours, second, numbers = (jnp.asarray(x) for x in vocabulary.hashes)
    start = jnp.where(first, 0, WITHIN).astype(jnp.uint32)
    count = text.shape[1]
    ahead = jnp.pad(text, ((0, 0), (0, vocabulary.longest))).astype(jnp.uint32)

    def longer(carry: tuple[Array, ...], step: Array) -> tuple[tuple[Array, ...], None]:
        number, size, *sums = carry
        byte = jax.lax.dynamic_slice_in_dim(ahead, step, count, axis=1)
        sums = [s * jnp.uint32(f) + byte + 1 for s, f in zip(sums, FACTORS)]
        left = jnp.searchsorted(ours, sums[0])
        # Of 30,000 pieces, two have the same first hash now and then; three never do.
        for place in (left, left + 1):
            at = jnp.minimum(place, len(ours) - 1)
            found = (ours[at] == sums[0]) & (second[at] == sums[1]) & (step < room)
            number = jnp.where(found, numbers[at], number)
            size = jnp.where(found, step + 1, size)
        return (number, size, *sums), None

    none = jnp.zeros(text.shape, jnp.int32)
    steps = jnp.arange(min(vocabulary.longest, count))
    (number, size, *_), _ = jax.lax.scan(longer, (none, none, start, start), steps)
    return number, size


@typed
def word_pieces(
    text: UInt8[Array, "B X"], length: int, vocabulary: Vocabulary
) -> tuple[Int[Array, "B {length}"], Bool[Array, "B {length}"]]:
    """Piece numbers between [CLS] and [SEP], and which are real; cut to `length`.

    Args:
        text: UTF-8 bytes, padded with 0 (core.text.encode_text).
    """
    unknown, begin, end, padding = map(vocabulary.number, ("[UNK]", "[CLS]", "[SEP]", "[PAD]"))
    text = text.astype(jnp.int32)
    text = jnp.where((text >= 65) & (text <= 90), text + 32, text)
    letter, mark = _kinds(text)
    before = jnp.pad(letter & ~mark, ((0, 0), (1, 0)))[:, :-1]
    first = letter & (mark | ~before)
    # A word ends before the next one, a space or the end.
    ends = jnp.pad(first | ~letter, ((0, 0), (0, 1)), constant_values=True)
    room = _next(ends)[:, 1:] - jnp.arange(text.shape[1])
    number, size = _longest(text, first, room, vocabulary)

    def walk(due: Array, at: tuple[Array, ...]) -> tuple[Array, tuple[Array, Array]]:
        place, first, size = at
        here = first | (due == place)
        stuck = here & (size == 0)
        due = jnp.where(here, jnp.where(stuck, -1, place + size), due)
        return due, (here, stuck)

    # Where the next piece is due; beyond a word's end, the next word begins anew.
    places = jnp.arange(text.shape[1])
    at = (places, first.T, size.T)
    _, (here, stuck) = jax.lax.scan(walk, jnp.full(text.shape[0], -1), at)
    here, stuck = here.T & letter, stuck.T & letter
    stuck = stuck | (first & (room > LONGEST_WORD))
    word = jnp.cumsum(first, axis=1) - 1
    same = (word[:, :, None] == word[:, None, :]) & letter[:, None]
    lost = (same & stuck[:, None]).any(-1)
    kept = here & (first | ~lost)
    number = jnp.where(lost, unknown, number)

    order = jnp.cumsum(kept, axis=1)
    count = jnp.minimum(order[:, -1:], length - 2)
    row = jnp.arange(text.shape[0])[:, None]
    # What does not fit is written behind the end, and dropped.
    target = jnp.where(kept & (order <= length - 2), order, length)
    tokens = jnp.full((text.shape[0], length), padding, jnp.int32)
    tokens = tokens.at[:, 0].set(begin).at[row, target].set(number, mode="drop")
    tokens = tokens.at[row, count + 1].set(end)
    return tokens, jnp.arange(length)[None] < count + 2
