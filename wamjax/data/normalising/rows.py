"""Over which rows the statistics of actions are, for an episode of T steps.

    as recorded   a[i]                           each recorded action i once
    relative      a[t + k] told from s[t]        each t = 0 .. T - 1 and k = 0 .. K - 1 for which
                                                 step t + k is in the episode and recorded there

The relative ones are the numbers of the windows' chunks that no mask hides, each as often as it is
trained on, in every dimension: also those that are not told relative to anything. Past actions pass
the same normaliser and are not looked at.
"""

from collections.abc import Iterator

import numpy as np

from wamjax.data.cards.relative import Relative


def action_blocks(
    actions: np.ndarray,
    ok: np.ndarray,
    states: np.ndarray,
    relative: Relative | None,
    chunk: int,
) -> Iterator[np.ndarray]:
    """Blocks of rows of one episode, float32 [n, A].

    Args:
        actions: float32 [T, A].
        ok: bool [T], recorded.
        states: float32 [T, P].
        relative: how they are told; None as recorded.
        chunk: K.
    """
    if relative is None:
        yield actions[ok]
        return
    steps = len(actions)
    for ahead in range(min(chunk, steps)):
        there = ok[ahead:]
        yield relative.tell(actions[ahead:][there], states[: steps - ahead][there])
