"""Which episodes are trained on, and which show their actions, by a hash of what was recorded.

    heldout      iff  hash(content) / 2^64 < holdout
    actions are  iff  another hash(content) / 2^64 < action_share
    shown

The side depends on the content alone: copies fall on one side, whatever split they stand in, and
neither the order of the files nor more data moves an episode. With a larger share the same ones
show theirs, and more.
"""

import hashlib

import numpy as np

from wamjax.data.config import Part

HOLDOUT = b"wamjax holdout 1"
SHOWN = b"wamjax actions 1"


def position(content: str, salt: bytes = HOLDOUT) -> float:
    """A number in [0, 1) that belongs to this content."""
    digest = hashlib.blake2b(content.encode(), digest_size=8, key=salt).digest()
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


def shows_actions(content: str, holdout: float, share: float) -> bool:
    """Whether an episode's actions are shown: so many of those for training, and all others'."""
    return position(content, SHOWN) < share or position(content) < holdout
