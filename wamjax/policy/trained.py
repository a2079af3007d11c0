"""A trained system as a policy: the loader's transforms inverted.

    loader:  proprio -> (proprio - shift) * scale          actions -> (actions - shift) * scale
    policy:  the same maps of proprio and of the past actions, then
             actions = sampled / scale + shift

Of a system that was trained on a mixture the environment has some of the views only: what it shows
goes where that camera stands, the other views are zero and masked, as in training.

Where actions are told relative to states, the loader subtracts the window's state before it
normalises, and the policy adds the state that it was shown when it planned, behind its own map.

Nothing is clipped here: a policy that asks for too much shows up as such in the worlds' scores.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax.numpy as jnp
import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Observation
from wamjax.core.typing import AnyArray, Array, Key, Params
from wamjax.policy.base import Law, Needs, Policy

SampleActions = Callable[..., Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Views:
    """Where the cameras that are shown stand among all views of a system.

    Attributes:
        shown: view of each.
        count: of all views.
    """

    shown: tuple[int, ...]
    count: int

    def widen(self, frames: AnyArray, camera_mask: AnyArray) -> tuple[Array, Array]:
        """uint8 [E, V, T, H, W, 3] and bool [E, V] of all views, from those that are shown."""
        rows, _, *size = frames.shape
        places = np.array(self.shown)
        wide = jnp.zeros((rows, self.count, *size), frames.dtype).at[:, places].set(frames)
        there = jnp.zeros((rows, self.count), bool).at[:, places].set(camera_mask)
        return wide, there

    def narrow(self, frames: Array) -> Array:
        """Predicted frames [E, P, ...] of the first P views -> of the shown ones among them."""
        return frames[:, np.array([view for view in self.shown if view < frames.shape[1]], int)]


class Chance(Protocol):
    """Draws of normalised actions whose probability is known; see wamjax.recipes.chance."""

    def draw(self, params: Params, seen: Any, key: Key, /) -> tuple[Array, Array, Array]: ...
    def log_probs(self, params: Params, seen: Any, key: Key, drawn: Array, /) -> Array: ...
    def counts(self, replan: int, /) -> np.ndarray: ...


class Normaliser(Protocol):
    """An affine map per dimension and its inverse; `mask` bool [A] are the recorded ones."""

    @property
    def mask(self) -> Any: ...
    def apply(self, values: Any, /) -> Any: ...
    def invert(self, values: Any, /) -> Any: ...


class FromState(Protocol):
    """Chunks [..., K, A] relative to states [..., P], and back; see wamjax.policy.relative."""

    def tell(self, actions: Any, states: Any, /) -> Any: ...
    def restore(self, told: Any, states: Any, /) -> Any: ...


def trained_policy(
    sample_actions: SampleActions,
    *,
    action_normaliser: Normaliser | None,
    proprio_normaliser: Normaliser | None,
    needs: Needs,
    chunk: int,
    replan: int,
    sample_future: Callable[..., tuple[Array, Array]] | None = None,
    chance: Chance | None = None,
    views: Views | None = None,
    relative: FromState | None = None,
    frame_stride: int = 1,
    settings: str = "",
    name: str = "trained",
) -> Policy:
    """The policy that samples from a system and undoes the loader's normalisation.

    Args:
        sample_actions: (weights, frames uint8 [E, V, T, H, W, 3], camera_mask bool [E, V],
            proprio float32 [E, P] normalised, text uint8 [E, X], key) -> normalised float32
            [E, K, A]; sampler settings are already bound. Of a history of several frames it is
            told by `frame_mask` bool [E, T] which of them there were, and what was executed by
            `past`: normalised actions [E, P, A] and which numbers there were.
        action_normaliser: fitted on the training data.
        proprio_normaliser: fitted on the training data.
        needs: what the system was trained to see.
        chunk: K.
        replan: actions executed per call.
        sample_future: like `sample_actions`, but returns also predicted frames uint8
            [E, V, F, H, W, 3]; None when the system predicts none.
        chance: the system's draws, for RL; None elsewhere.
        views: where the cameras of `needs` stand in the system; None where they are all of its.
        relative: how the actions were told relative to states in training; None where they stayed
            as they were recorded.
        frame_stride: control steps between predicted frames.
        settings: the sampler's settings in words, for example "euler 8".
        name: what reports call it.

    Raises:
        UserError: a normaliser is missing, or replan is outside 1 ... K.
    """
    if action_normaliser is None or proprio_normaliser is None:
        missing = "action" if action_normaliser is None else "proprio"
        raise UserError(
            f"there are no {missing} statistics beside these weights; evaluate a checkpoint that "
            f"was saved with its statistics."
        )

    def act(weights: Params, observation: Observation, key: Key) -> Array:
        actions = sample_actions(weights, *seen(observation), key, **memory(observation))
        return raw(actions, observation)

    def raw(actions: Any, observation: Observation) -> Array:
        told = jnp.asarray(action_normaliser.invert(actions), jnp.float32)
        return told if relative is None else relative.restore(told, observation.proprio)

    def imagine(weights: Params, observation: Observation, key: Key) -> tuple[Array, Array]:
        assert sample_future is not None
        actions, frames = sample_future(weights, *seen(observation), key, **memory(observation))
        return raw(actions, observation), frames if views is None else views.narrow(frames)

    def seen(observation: Observation) -> tuple[AnyArray, AnyArray, Array, AnyArray]:
        proprio = jnp.asarray(proprio_normaliser.apply(observation.proprio), jnp.float32)
        frames, there = observation.frames, observation.camera_mask
        if views is not None:
            frames, there = views.widen(frames, there)
        return frames, there, proprio, observation.text

    def memory(observation: Observation) -> dict[str, Any]:
        told = {} if observation.frame_mask is None else {"frame_mask": observation.frame_mask}
        return told if observation.past_actions is None else told | {"past": past(observation)}

    def past(observation: Observation) -> tuple[Array, Array]:
        done = observation.past_actions
        done = done if relative is None else relative.tell(done, observation.proprio)
        actions = action_normaliser.apply(done)
        there = jnp.asarray(observation.past_action_mask)[..., None] & action_normaliser.mask
        return jnp.asarray(actions, jnp.float32), there

    def law(chance: Chance) -> Law:
        def draw(weights: Params, observation: Observation, key: Key) -> tuple[Array, Array, Array]:
            actions, drawn, log_probs = chance.draw(weights, seen(observation), key)
            return raw(actions, observation), drawn, log_probs

        def log_probs(weights: Params, observation: Observation, key: Key, drawn: Array) -> Array:
            return chance.log_probs(weights, seen(observation), key, drawn)

        return Law(draw=draw, log_probs=log_probs, counts=chance.counts(replan))

    return Policy(
        name=name,
        chunk=chunk,
        replan=replan,
        act=act,
        needs=needs,
        imagine=None if sample_future is None else imagine,
        law=None if chance is None else law(chance),
        frame_stride=frame_stride,
        settings=settings,
    )
