"""A policy is a pure function from what is seen to a chunk of actions.

    actions[E, K, A] = act(weights, observation[E, ...], key)

Actions are raw (SI units, the convention of the data), never normalised ones. Whoever executes
them runs the first `replan` of the K actions and asks again. `act` draws noise from one key for
the whole batch; a caller who wants worlds to be independent of their place in the batch vmaps it
over worlds with a key each (wamjax.eval.rollout does).
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.core.typing import Array, Key, Params

Act = Callable[[Params, Observation, Key], Array]
Imagine = Callable[[Params, Observation, Key], tuple[Array, Array]]
Draw = Callable[[Params, Observation, Key], tuple[Array, Array, Array]]
LogProbs = Callable[[Params, Observation, Key, Array], Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """What a policy must be shown.

    Attributes:
        cameras: names in view order; the observation is brought into this order.
        history: frames per camera, the newest last.
        history_stride: control steps between them.
        past_actions: actions executed before now, the newest last.
        action: width of an action; 0 where no past actions are shown.
        image_size: side of the square frames, pixels.
        proprio: width of the proprio vector.
        text: bytes of the padded instruction.
    """

    cameras: tuple[str, ...]
    history: int
    image_size: int
    proprio: int
    text: int
    history_stride: int = 1
    past_actions: int = 0
    action: int = 0

    @property
    def offsets(self) -> np.ndarray:
        """Control steps from now to each frame of the history, int [T], 0 at last."""
        return self.history_stride * np.arange(1 - self.history, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Law:
    """A policy's actions as draws whose probability is known; RL from rewards needs it.

    W states are kept of a chunk's draw, and S log-probabilities of each of its K actions; see
    wamjax.recipes.chance.

    Attributes:
        draw: (weights, observation [E, ...], key) -> raw actions float32 [E, K, A], what was drawn
            [E, W, K, A], and log p of it [E, S, K].
        log_probs: (weights, observation, the draw's key, what was drawn) -> log p [E, S, K] under
            these weights.
        counts: bool [S, K], the entries that bear on what is executed.
    """

    draw: Draw
    log_probs: LogProbs
    counts: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """See the equation above.

    Attributes:
        name: what reports call it.
        chunk: K, actions predicted at once.
        replan: actions executed before predicting again, 1 ... K.
        act: (weights, observation [E, ...], key) -> float32 [E, K, A].
        needs: what it must be shown; None when it looks at nothing.
        imagine: like `act`, but returns also the future it predicts, uint8 [E, V, F, H, W, 3];
            None when it predicts none.
        law: its actions as draws; None where they have no known probability.
        frame_stride: control steps between two predicted frames.
        settings: whatever else decides the actions, in words (solver, steps); an evaluation is
            taken up again only under the same settings.
    """

    name: str
    chunk: int
    replan: int
    act: Act
    needs: Needs | None = None
    imagine: Imagine | None = None
    law: Law | None = None
    frame_stride: int = 1
    settings: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.replan <= self.chunk:
            raise UserError(
                f"policy {self.name} cannot execute {self.replan} actions of a chunk of "
                f"{self.chunk}; choose replan between 1 and {self.chunk}."
            )
        if self.frame_stride < 1:
            raise UserError(
                f"policy {self.name} has a frame stride of {self.frame_stride}; give 1 or more."
            )


def views_for(needs: Needs, cameras: tuple[str, ...]) -> tuple[int, ...]:
    """Places of the needed cameras among those on offer.

    Raises:
        UserError: one is not on offer.
    """
    for name in needs.cameras:
        if name not in cameras:
            raise UserError(
                f"the policy looks through camera {name!r}, which this environment does not have; "
                f"it has {', '.join(cameras)}."
            )
    return tuple(cameras.index(name) for name in needs.cameras)


def check_observation(needs: Needs, observation: Observation) -> None:
    """Refuse an observation (arrays or their shapes; views already chosen) that does not fit.

    Raises:
        UserError: number of views, history, frame size, proprio width, text length or the number
            or width of past actions differ.
    """
    views, history, height, width, _ = observation.frames.shape[-5:]
    past = observation.past_actions
    executed, action = (0, needs.action) if past is None else past.shape[-2:]
    for label, got, wanted in (
        ("camera views", views, len(needs.cameras)),
        ("frames of history", history, needs.history),
        ("pixel rows", height, needs.image_size),
        ("pixel columns", width, needs.image_size),
        ("proprio numbers", observation.proprio.shape[-1], needs.proprio),
        ("bytes of instruction", observation.text.shape[-1], needs.text),
        ("past actions", executed, needs.past_actions),
        ("numbers in a past action", action, needs.action),
    ):
        if got != wanted:
            raise UserError(
                f"the policy was trained with {wanted} {label} but is shown {got}; evaluate it in "
                f"an environment built with the training settings."
            )
