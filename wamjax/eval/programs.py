"""Which policies share a compiled rollout.

Compiling physics and drawing takes longer than running them for a few hundred worlds, so a
program serves every policy it can: all weights of one `act`, and blind policies beside a seeing
one with the same replan interval.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax

from wamjax.core.typing import Key, Params
from wamjax.eval.outcome import Outcome
from wamjax.eval.rollout import Advance, Rollout, Track, rollout
from wamjax.eval.worlds import Worlds
from wamjax.policy.base import Policy

Contestants = Mapping[str, tuple[Policy, Params]]


class Player(Protocol):
    """One policy that plays the worlds of one task."""

    @property
    def batch(self) -> int: ...
    @property
    def compile_seconds(self) -> float: ...
    def __call__(self, worlds: Worlds, key: Key, advance: Advance) -> Outcome: ...


class Stage(Protocol):
    """Where policies play: compiled rollouts (`Programs`), or another domain."""

    @property
    def batch(self) -> int: ...
    def find(
        self, name: str, task: str, worlds: Worlds, say: Callable[[str], None] = ...
    ) -> Player: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Runner:
    """A policy's place in a compiled rollout."""

    rollout: Rollout
    weights: Params
    blind: bool

    @property
    def batch(self) -> int:
        """Worlds at once."""
        return self.rollout.batch

    @property
    def compile_seconds(self) -> float:
        """What compiling took."""
        return self.rollout.compile_seconds

    def __call__(self, worlds: Worlds, key: Key, advance: Advance) -> Outcome:
        """Play all worlds."""
        return self.rollout(self.weights, worlds.variants, key, blind=self.blind, advance=advance)


class Programs:
    """Rollouts, compiled when first asked for.

    Args:
        contestants: all policies that will be asked for, with weights.
        batch: worlds at once.
        devices: where worlds are spread; all devices by default.
        keep: compute traces, which pictures need.
        track: what is kept of every step; None for nothing.
    """

    def __init__(
        self,
        contestants: Contestants,
        *,
        batch: int = 64,
        devices: Sequence[Any] | None = None,
        keep: bool = True,
        track: Track | None = None,
    ):
        self.contestants, self.batch, self.devices = contestants, batch, devices
        self.keep, self.track = keep, track
        self._compiled: dict[Any, Rollout] = {}

    def playing(self, contestants: Contestants) -> "Programs":
        """The same programs for others: what is compiled serves the same policies with other
        weights."""
        other = Programs(
            contestants,
            batch=self.batch,
            devices=self.devices,
            keep=self.keep,
            track=self.track,
        )
        other._compiled = self._compiled
        return other

    def find(
        self, name: str, task: str, worlds: Worlds, say: Callable[[str], None] = lambda text: None
    ) -> Runner:
        """The runner of policy `name` on `task`; `say` hears about compilations.

        Raises:
            UserError: the policy does not fit the environment.
        """
        host = self._host(name)
        lead, lead_weights = self.contestants[host]
        guest = self._guest(host)
        beside = None if guest is None else self.contestants[guest]
        key = (task, self._kind(host), None if guest is None else self._kind(guest))
        if key not in self._compiled:
            say(f"evaluate: compiling the rollout of {lead.name} in {task}")
            self._compiled[key] = rollout(
                lead,
                worlds.env,
                worlds.horizon,
                weights=lead_weights,
                variants=worlds.variants,
                beside=beside,
                batch=min(self.batch, len(worlds.axes)),
                devices=self.devices,
                keep=self.keep,
                track=self.track,
            )
            say(f"evaluate: compiled in {self._compiled[key].compile_seconds:.1f} s")
        weights = self.contestants[name][1]
        return Runner(rollout=self._compiled[key], weights=weights, blind=host != name)

    def _kind(self, name: str) -> tuple[Any, ...]:
        """Equal for policies that differ in the values of their weights only."""
        policy, weights = self.contestants[name]
        shapes = jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), weights)
        return policy.act, policy.replan, policy.needs, str(shapes)

    def _host(self, name: str) -> str:
        """Whose program the policy plays in: its own, or that of a seeing one."""
        policy, _ = self.contestants[name]
        if policy.needs is not None:
            return name
        for other in self.contestants:
            guest = self._guest(other)
            if guest is not None and self._kind(guest) == self._kind(name):
                return other
        return name

    def _guest(self, host: str) -> str | None:
        """The blind policy that is compiled beside `host`."""
        policy, _ = self.contestants[host]
        if policy.needs is None:
            return None
        for other, (candidate, _) in self.contestants.items():
            if candidate.needs is None and candidate.replan == policy.replan:
                return other
        return None
