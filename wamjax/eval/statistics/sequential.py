"""Two policies compared world by world, until one is better or the worlds run out.

Both policies see world i; d_i worlds of the first i are discordant (exactly one policy succeeds),
and the lead is

    S_i = sum of (first - second)

Under the null, given which worlds are discordant, S is a fair walk of d_i steps of -+1. After
every world the test may spend of its error what alpha spending allows (Lan and DeMets 1983; the
power family of Kim and DeMets 1987):

    allowed(i) = alpha (i / most)^spending

    stop at world i  if  P(stopped before) + P(not stopped before, |S_i| >= |s_i|) <= allowed(i)

with s_i the lead in the data and P over the walk, summed exactly by dynamic programming (Armitage,
McPherson and Rowe 1969). The bound at i depends on the pattern of discordant worlds up to i and on
nothing else, so the error is at most alpha given any pattern: for every success rate, every
correlation of the policies and every kind of world. No discordance rate is assumed.

The sum on the left is the p-value of the stage-wise ordering (Tsiatis, Rosner and Mehta 1984). The
test is of the family of STEP (arXiv 2503.10966), which compares policies in worlds they do not
share. Policies that do not share worlds may be paired in the order of their episodes: the error
holds, but the power is that of independent pairs.

The order of the worlds is that of the manifest. Taking worlds in the order in which episodes end
would see the quick successes first.
"""

import dataclasses
from typing import Literal

import numpy as np

from wamjax.core.typing import Bool, Float, Int, typed

Better = Literal["first", "second", "undecided"]


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a sequential comparison says so far.

    Attributes:
        better: which policy, or "undecided".
        worlds: how many were used; later ones were not looked at.
        wins, losses: worlds that only the first, only the second policy solved.
        p: two-sided p-value, 0 ... 1; of the test when it is over, and of ending here (for a
            reason that is not in the data) before.
        over: whether there is nothing more to ask: decided, or all worlds used.
    """

    better: Better
    worlds: int
    wins: int
    losses: int
    p: float
    over: bool


@dataclasses.dataclass(frozen=True)
class Operating:
    """How a test behaves: shares of its runs (0 ... 1) and the mean number of worlds."""

    first: float
    second: float
    worlds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sequential:
    """A comparison of two policies that stops early; fix it before the first world is seen.

    Attributes:
        most: worlds at which it ends, decided or not.
        alpha: probability of calling equal policies different, at most; (0, 0.5).
        spending: exponent; 1 stops early most often, 3 keeps nearly all for the end.

    Raises:
        ValueError: most below 1, alpha outside (0, 0.5), spending not above 0.
    """

    most: int
    alpha: float = 0.05
    spending: float = 2.0

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"a comparison needs at least one world, got most={self.most}")
        if not 0.0 < self.alpha < 0.5:
            raise ValueError(f"alpha must lie between 0 and 0.5, got {self.alpha}")
        if not self.spending > 0.0:
            raise ValueError(f"spending must be above 0, got {self.spending}")

    def allowed(self, worlds: int) -> float:
        """Error that may have been spent after so many worlds."""
        return self.alpha * (worlds / self.most) ** self.spending

    def decide(self, first: Bool[np.ndarray, " E"], second: Bool[np.ndarray, " E"]) -> Verdict:
        """The verdict on outcomes in E worlds, in the manifest's order.

        Raises:
            ValueError: more than `most` worlds.
        """
        return self.start().update(first, second)

    def start(self) -> "Comparison":
        """The same test for results that come in parts."""
        return Comparison(self)

    def operating(
        self, *, wins: float, losses: float, runs: int = 2000, seed: int = 0
    ) -> Operating:
        """Simulated behaviour where a world is won with one chance and lost with another.

        Args:
            wins, losses: chance that only the first, only the second policy solves a world.
            runs: simulated comparisons.
            seed: of the simulation.

        Raises:
            ValueError: chances below 0 or adding up to more than 1.
        """
        if min(wins, losses) < 0 or wins + losses > 1:
            raise ValueError(f"chances of {wins} and {losses} are none")
        draws = np.random.default_rng(seed).random((runs, self.most))
        steps = np.where(draws < wins, 1, np.where(draws < wins + losses, -1, 0))
        lead, worlds, _ = race(self, steps)
        return Operating(float((lead > 0).mean()), float((lead < 0).mean()), float(worlds.mean()))


class Comparison:
    """A sequential comparison under way; `verdict` is what it says so far."""

    def __init__(self, test: Sequential):
        self.test = test
        self.verdict = Verdict("undecided", 0, 0, 0, 1.0, False)
        self._walk = _Walk(1)

    @typed
    def update(self, first: Bool[np.ndarray, " E"], second: Bool[np.ndarray, " E"]) -> Verdict:
        """Outcomes of the next E worlds; those after the verdict change nothing.

        Raises:
            ValueError: more than `most` worlds while undecided.
        """
        for one, other in zip(first.tolist(), second.tolist()):
            if self.verdict.better != "undecided":
                break
            if self.verdict.over:
                raise ValueError(f"the comparison ends at {self.test.most} worlds")
            self._next(one, other)
        return self.verdict

    def _next(self, one: bool, other: bool) -> None:
        before = self.verdict
        worlds = before.worlds + 1
        wins, losses = before.wins + (one and not other), before.losses + (other and not one)
        p, stops = self._walk.look(
            np.array([one != other]), np.array([wins - losses]), self.test.allowed(worlds)
        )
        better: Better = "undecided"
        if stops[0]:
            better = "first" if wins > losses else "second"
        over = bool(stops[0]) or worlds == self.test.most
        self.verdict = Verdict(better, worlds, wins, losses, float(p[0]), over)


class _Walk:
    """|S| of R fair walks: the probability of each distance, among what has not stopped.

    Attributes:
        mass: float [R, W], P(not stopped, |S| = w); W grows with the distances that are possible.
        spent: float [R], P(stopped).
    """

    def __init__(self, rows: int):
        self.mass = np.ones((rows, 1))
        self.spent = np.zeros(rows)

    @typed
    def look(
        self, discordant: Bool[np.ndarray, " R"], lead: Int[np.ndarray, " R"], allowed: float
    ) -> tuple[Float[np.ndarray, " R"], Bool[np.ndarray, " R"]]:
        """One more world: the p-value of each row's lead, and whether the row stops with it."""
        self.mass = np.where(discordant[:, None], _step(self.mass), np.pad(self.mass, _ONE_MORE))
        p = self.spent[:, None] + np.cumsum(self.mass[:, ::-1], 1)[:, ::-1]
        bound = p <= allowed
        reached = np.arange(len(lead)), np.abs(lead)
        found = p[reached], bound[reached]
        self.spent = self.spent + (self.mass * bound).sum(1)
        self.mass = np.where(bound, 0.0, self.mass)
        self.mass = self.mass[:, : 1 + np.flatnonzero(self.mass.any(0))[-1]]
        return found

    def keep(self, rows: Bool[np.ndarray, " R"]) -> None:
        """Forget the other rows."""
        self.mass, self.spent = self.mass[rows], self.spent[rows]


_ONE_MORE = ((0, 0), (0, 1))


def _step(mass: Float[np.ndarray, "R W"]) -> Float[np.ndarray, "R W+1"]:
    """A step of -+1, seen from zero: from distance 0 there is only the way out."""
    moved = np.zeros((mass.shape[0], mass.shape[1] + 1))
    moved[:, 1:] += mass / 2
    moved[:, 1] += mass[:, 0] / 2
    moved[:, :-2] += mass[:, 1:] / 2
    return moved


@typed
def race(
    test: Sequential, steps: Int[np.ndarray, "R N"]
) -> tuple[Int[np.ndarray, " R"], Int[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """R comparisons side by side, for simulations; the same verdicts as `Sequential.decide`.

    Args:
        test: its settings.
        steps: first minus second in each world (1, 0 or -1); N at most `most`.

    Returns:
        int [R] the lead that decided, 0 for undecided; int [R] worlds used; float [R] p-values.
    """
    runs, length = steps.shape
    lead, p = np.zeros(runs, int), np.ones(runs)
    decided, worlds = np.zeros(runs, int), np.full(runs, length)
    walk, rows = _Walk(runs), np.arange(runs)
    for place in range(length):
        step = steps[rows, place]
        lead[rows] += step
        p[rows], stops = walk.look(step != 0, lead[rows], test.allowed(place + 1))
        decided[rows[stops]], worlds[rows[stops]] = lead[rows[stops]], place + 1
        walk.keep(~stops)
        rows = rows[~stops]
        if not len(rows):
            break
    return decided, worlds, p
