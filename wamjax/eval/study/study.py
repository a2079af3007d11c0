"""A study: arms x training data x seeds are trained; what was trained is tried in the same worlds.

    run         (arm, data, seed)                   one training
    condition   (arm, data, checkpoint, mode, domain)
    trial       a condition at one seed             one evaluation

An arm is a whole run config. What differs between arms is computed from the configs, not told, and
the report compares conditions with the one of the arm `against`.
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from wamjax.flow.sampler import Program
from wamjax.train.run_config import RunConfig

Domain = Literal["source", "target"]
Match = Literal["steps", "flops"]
Aspect = Literal["windows", "parameters", "budget"]
NAME = re.compile(r"[a-z0-9][a-z0-9_.]*")
OWN = "own"
"""The mode that changes nothing."""


def _check_names(what: str, names: list[str]) -> None:
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"{what} {name!r} names a folder: use small letters, digits, _ and .")
    if not names or len({*names}) < len(names):
        raise ValueError(f"a study needs {what}s of different names, got {names}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mode:
    """How trained weights are sampled; None where the run's own config decides.

    Attributes:
        name: of the mode.
        program: the sampler program, see flow.sampler.
        steps: of the solver.
        temperature: factor on the initial noise of the actions.
        candidates: chunks drawn for each that is executed.
        replan: actions executed before predicting again.
    """

    name: str = OWN
    program: Program | None = None
    steps: int | None = None
    temperature: float | None = None
    candidates: int | None = None
    replan: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arm:
    """What is compared.

    Attributes:
        name: of the arm.
        says: what it is, for the report: half a sentence.
        config: of its runs; the study sets data.dir and the seeds.
        modes: in which its weights are tried.
        data: names of the training data it is trained on; empty for all of the study's.
        after: the arm whose runs, of the same data and seed, its own go on from by RL
            (`config.ript`).

    Raises:
        ValueError: modes of one name, or `after` without RL or RL without it.
    """

    name: str
    says: str
    config: RunConfig
    modes: tuple[Mode, ...] = (Mode(),)
    data: tuple[str, ...] = ()
    after: str = ""

    def __post_init__(self) -> None:
        _check_names("mode", [mode.name for mode in self.modes])
        if bool(self.after) != (self.config.ript is not None):
            raise ValueError(f"arm {self.name}: config.ript and `after` need one another")

    @property
    def steps(self) -> int:
        """Of its own training; of RL, iterations."""
        ript = self.config.ript
        return self.config.train.steps if ript is None else ript.iterations


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Demonstrations to train on.

    Attributes:
        name: of the data.
        clean: episodes a task in the clean look.
        randomised: episodes a task, each in a look of its own.
        action: what the numbers of an action mean, see sim.control.
        tasks: whose; empty for the study's.
        demos: the data of the same numbers whose demonstrations these are; empty for its own.
        action_share: of the episodes whose actions are shown; the others are video alone.
    """

    name: str
    clean: int
    randomised: int = 0
    action: str = "ee_delta"
    tasks: tuple[str, ...] = ()
    demos: str = ""
    action_share: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Worlds:
    """Where everything is tried.

    Attributes:
        manifest: "quick", "standard", or "" for `clean` and `each` worlds a task and axis.
        clean, each: worlds a task, where no manifest is named.
        axes: of `each`; empty for all seven.
        repeats: rollouts of every world, with draws of their own.
    """

    manifest: Literal["quick", "standard", ""] = "quick"
    clean: int = 100
    each: int = 50
    axes: tuple[str, ...] = ()
    repeats: int = 1


@dataclasses.dataclass(frozen=True)
class Run:
    """One training."""

    arm: Arm
    data: Data
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.arm.name}/{self.data.name}/seed{self.seed}"


@dataclasses.dataclass(frozen=True)
class Condition:
    """What the report has a row for; all seeds together."""

    arm: Arm
    data: Data
    mode: Mode
    fraction: float
    domain: Domain

    def labelled(self, study: "Study") -> str:
        """The arm, and whatever else the study varies."""
        parts = [self.arm.name]
        if len(self.arm.modes) > 1:
            parts.append(self.mode.name)
        if len(study.data) > 1:
            parts.append(self.data.name)
        if len(study.checkpoints) > 1:
            parts.append(f"{100 * self.fraction:g}%")
        if len(study.domains) > 1:
            parts.append(self.domain)
        return " ".join(parts)

    @property
    def key(self) -> str:
        """Of its records."""
        parts = (self.arm.name, self.data.name, f"{self.fraction:g}", self.mode.name, self.domain)
        return "/".join(parts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """A question, and what is run to answer it.

    Attributes:
        name: of the study.
        question: that it answers, one sentence.
        arms: what is compared.
        against: the arm that the others are compared with.
        seeds: of training; each gives every arm the same windows in the same order.
        data: what is trained on.
        tasks: that are demonstrated and tried.
        worlds: where.
        checkpoints: shares of the training after which the weights are tried, rising to 1.
        domains: "source", the worlds of training, and "target", the stand-in for reality.
        match: what arms have in common: the steps, or the FLOPs of training.
        differs: in which of windows, parameters and budget the arms may differ; the report says so.
        world_seed: of the manifest and the samplers.

    Raises:
        ValueError: a name that is no folder's or comes twice, an unknown arm or data, an arm before
            the one it goes on from, checkpoints that do not rise to 1, or no seed.
    """

    name: str
    question: str
    arms: tuple[Arm, ...]
    against: str
    seeds: tuple[int, ...] = (0, 1, 2)
    data: tuple[Data, ...] = (Data(name="clean", clean=256),)
    tasks: tuple[str, ...] = ("reach", "push", "lift", "stack")
    worlds: Worlds = Worlds()
    checkpoints: tuple[float, ...] = (1.0,)
    domains: tuple[Domain, ...] = ("source",)
    match: Match = "steps"
    differs: tuple[Aspect, ...] = ()
    world_seed: int = 0

    def __post_init__(self) -> None:
        _check_names("study", [self.name])
        _check_names("arm", [arm.name for arm in self.arms])
        _check_names("data set", [data.name for data in self.data])
        self.arm(self.against)
        known = {data.name for data in self.data}
        earlier = set[str]()
        for arm in self.arms:
            if unknown := {*arm.data} - known:
                raise ValueError(f"arm {arm.name} names data {unknown} that the study has not")
            if arm.after and arm.after not in earlier:
                raise ValueError(f"arm {arm.name} goes on from {arm.after!r}, no arm before it")
            if not arm.after:
                earlier.add(arm.name)
        if not self.seeds or len({*self.seeds}) < len(self.seeds):
            raise ValueError(f"a study needs different seeds, got {self.seeds}")
        rising = all(low < high for low, high in itertools.pairwise((0.0, *self.checkpoints)))
        if not rising or not math.isclose(self.checkpoints[-1], 1.0):
            raise ValueError(f"checkpoints must rise to 1, got {self.checkpoints}")

    def arm(self, name: str) -> Arm:
        """The arm of that name.

        Raises:
            ValueError: there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise ValueError(f"there is no arm {name!r}; arms: {', '.join(a.name for a in self.arms)}")

    def chains(self, names: Iterable[str]) -> list[tuple[str, ...]]:
        """Arms that must follow one another, in their order; chains need not."""
        wanted, chains = {*names}, dict[str, list[str]]()
        for arm in self.arms:
            if arm.name in wanted:
                chains.setdefault(arm.after or arm.name, []).append(arm.name)
        return [tuple(chain) for chain in chains.values()]

    def start(self, run: Run) -> Run | None:
        """The run that a run goes on from; None where it starts from nothing."""
        return dataclasses.replace(run, arm=self.arm(run.arm.after)) if run.arm.after else None

    @property
    def runs(self) -> Iterator[Run]:
        """Arm by arm, data by data, seed by seed."""
        for arm, data, seed in itertools.product(self.arms, self.data, self.seeds):
            if not arm.data or data.name in arm.data:
                yield Run(arm, data, seed)

    def conditions_of(self, arm: Arm, data: Data) -> Iterator[Condition]:
        """Those of all runs of an arm on some data."""
        for fraction, mode, domain in itertools.product(self.checkpoints, arm.modes, self.domains):
            yield Condition(arm, data, mode, fraction, domain)

    @property
    def conditions(self) -> Iterator[Condition]:
        """All, in the order of the report."""
        for arm, data in dict.fromkeys((run.arm.name, run.data.name) for run in self.runs):
            mine = self.arm(arm)
            yield from self.conditions_of(mine, next(d for d in self.data if d.name == data))

    def reference(self, condition: Condition) -> Condition | None:
        """What a condition is compared with: `against` on the same data, as far trained, in the
        same domain and its first mode; None where it is not trained on that data."""
        arm = self.arm(self.against)
        if arm.data and condition.data.name not in arm.data:
            return None
        return dataclasses.replace(condition, arm=arm, mode=arm.modes[0])
