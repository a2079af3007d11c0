"""Which of several instructions a window is told.

    said(t)    those of the step's instructions that are not empty, in the order of the card
    told(t)    said(t)[x mod their number]; "" if there is none
    x          output number t of SplitMix64 (Steele, Lea, Flood 2014) from a state that is a hash
               of the seed and of the episode's content; t counts recorded steps

So a window says the same whenever, wherever and beside whichever others it is read, in a store as
in what it was made from; another seed draws anew, and the windows of an episode share its
instructions out among them. openpi takes one of DROID's three for a whole episode each time that it
passes, by an unseeded draw, and an empty one as readily as another.
"""

import hashlib

import numpy as np

from wamjax.core.typing import Int, Shaped, typed
from wamjax.data.episodes import Episodes

GAMMA = 0x9E3779B97F4A7C15
MIXES = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


@typed
def split_mix(state: Shaped[np.ndarray, " N"], step: Int[np.ndarray, " N"]) -> np.ndarray:
    """Output number `step`, from 0, of SplitMix64 started at `state`, uint64 [N] both ways."""
    x = state + np.uint64(GAMMA) * (step.astype(np.uint64) + np.uint64(1))
    for shift, factor in MIXES:
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))


def state_of(seed: int, content: str) -> int:
    """Where an episode's draws start, 64 bits."""
    digest = hashlib.blake2b(f"{seed} {content}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def instruction_of(episodes: Episodes, seed: int) -> Int[np.ndarray, " N"]:
    """The instruction of each row that is told to a window which starts there, row of `texts`."""
    if episodes.text.shape[1] == 1:
        return episodes.text[:, 0]
    says = np.array([text != "" for text in episodes.texts])[episodes.text]
    count = says.sum(axis=1)
    states = [state_of(seed, content) for content in episodes.contents]
    drawn = split_mix(np.repeat(np.array(states, np.uint64), episodes.lengths), episodes.recorded)
    wanted = (drawn % np.maximum(count, 1).astype(np.uint64)).astype(np.int64)
    # The column before which, itself included, one more than so many say something.
    column = np.argmax(np.cumsum(says, axis=1) > wanted[:, None], axis=1)
    return np.take_along_axis(episodes.text, column[:, None], axis=1)[:, 0]
