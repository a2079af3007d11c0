"""Actions relative to the state at the time of planning, in JAX; see `wamjax.data.cards.relative`.

    numbers     r = a - s                           a = r + s
    angles      r = a - s, brought into [-pi, pi)   a = r + s, brought there too
    rotations   R_r = R_s^-1 R_a                    R_a = R_s R_r

The state is the raw one that the policy was shown. A chunk is made absolute once, when it is
planned: what the robot does meanwhile moves none of its targets.
"""

import dataclasses

import jax.numpy as jnp

from wamjax.core.typing import AnyArray, Array
from wamjax.data.cards.relative import Pair, Relative, Turn
from wamjax.policy.turns import WAYS
from wamjax.sim import rotations


@dataclasses.dataclass(frozen=True)
class FromState:
    """The two maps of chunks [..., K, A], given the states [..., P] that they are told from.

    Attributes:
        of: which numbers are told so.
    """

    of: Relative

    def tell(self, actions: AnyArray, states: AnyArray) -> Array:
        """Absolute actions, as the loader tells them."""
        return self._mapped(actions, states, -1)

    def restore(self, told: AnyArray, states: AnyArray) -> Array:
        """The inverse of `tell`."""
        return self._mapped(told, states, 1)

    def _mapped(self, actions: AnyArray, states: AnyArray, sign: int) -> Array:
        chunk, now = jnp.asarray(actions), jnp.asarray(states)[..., None, :]
        out = chunk
        for pair in self.of.numbers:
            out = out.at[..., pair.action].set(_moved(chunk, now, pair, sign))
        for pair in self.of.angles:
            angle = (_moved(chunk, now, pair, sign) + jnp.pi) % (2 * jnp.pi) - jnp.pi
            out = out.at[..., pair.action].set(angle)
        for turn in self.of.turns:
            out = out.at[..., turn.places[0]].set(_turned(chunk, now, turn, sign))
        return out


def _moved(chunk: Array, now: Array, pair: Pair, sign: int) -> Array:
    return chunk[..., pair.action] + sign * now[..., pair.state]


def _turned(chunk: Array, now: Array, turn: Turn, sign: int) -> Array:
    of, at = turn.places
    state = WAYS[turn.state_form].read(now[..., at])
    way = WAYS[turn.form]
    other = way.read(chunk[..., of])
    state = jnp.broadcast_to(state, other.shape)
    first = state if sign > 0 else rotations.conjugate(state)
    return way.write(rotations.multiply(first, other))
