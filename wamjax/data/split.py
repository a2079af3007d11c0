"""Train and held-out episodes by a hash of what was recorded.

    heldout  iff  hash(content) / 2^64 < holdout

The side depends on the content alone: copies fall on one side, whatever split they stand in, and
neither the order of the files nor more data moves an episode.
"""

import hashlib

import numpy as np

from wamjax.data.config import Part

SALT = b"wamjax holdout 1"


def position(content: str) -> float:
    """A number in [0, 1) that belongs to this content."""
    digest = hashlib.blake2b(content.encode(), digest_size=8, key=SALT).digest()
    return (int.from_bytes(digest, "little") >> 11) / 2.0**53


def members(contents: list[str], holdout: float, part: Part) -> np.ndarray:
    """Bool [episodes]: which belong to `part`."""
    heldout = np.array([position(content) < holdout for content in contents], bool)
    match part:
        case "train":
            return ~heldout
        case "heldout":
            return heldout
        case "all":
            return np.ones(len(contents), bool)
