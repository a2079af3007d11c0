"""Rows of `wamjax plan --table`: what is trained, and the climb to the smallest slice for it."""

import dataclasses
import functools
from typing import Any, Literal

import jax

from wamjax.cli import config_file
from wamjax.eval.plan.apart import apart
from wamjax.eval.plan.cache import keep, key_of, known
from wamjax.eval.plan.case import Training, case_of_config, case_of_recipe
from wamjax.eval.plan.chips import CHIPS
from wamjax.eval.plan.report import Report, planned
from wamjax.eval.plan.rows import Found, row_of, shapes_of_step
from wamjax.eval.plan.smallest import Spot, smallest
from wamjax.recipes.registry import RECIPES
from wamjax.train.run_config import RunConfig


@dataclasses.dataclass(frozen=True)
class Target:
    """A row: what is trained, and what its reports follow from.

    Attributes:
        kind: a recipe at full size, everything made anew in the backward pass; or a file of
            configs/, with its own policy.
        source: the recipe's name, or the file.
    """

    kind: Literal["recipe", "config"]
    source: str

    @functools.cached_property
    def config(self) -> RunConfig:
        """Of a file."""
        return config_file.load(self.source, [])

    @property
    def name(self) -> str:
        return self.source if self.kind == "recipe" else self.config.name

    @property
    def settings(self) -> dict[str, Any]:
        """As those of `wamjax plan`."""
        if self.kind == "recipe":
            return {"recipe": self.source, "form": None, "size": "full"}
        return {"config": dataclasses.asdict(self.config)}

    def make(self, rows: int) -> Training:
        """The case of so many examples a step."""
        if self.kind == "recipe":
            return case_of_recipe(RECIPES[self.source], rows)
        return case_of_config(self.config, rows)

    @functools.cached_property
    def one(self) -> Training:
        """The case of one example."""
        return self.make(1)

    @functools.cached_property
    def weights(self) -> int:
        """How many."""
        return sum(leaf.size for leaf in jax.tree.leaves(self.one.boxed))

    @functools.cached_property
    def shapes(self) -> str:
        """A digest of the step's."""
        return shapes_of_step(self.one)


def key_at(target: Target, spot: Spot) -> str:
    """The report's key: that of `wamjax plan --quick` with the flags that say the same."""
    settings = {**target.settings, "what": "train", "remat": None, "slice": spot.part.name}
    settings |= {"mesh": dataclasses.asdict(spot.mesh), "rows": spot.rows}
    return key_of({**settings, "analytic": False, "quick": True})


def make(target: Target, spot: Spot) -> None:
    """Compile it, and keep the report."""
    found = planned(target.make(spot.rows), spot.part, spot.mesh, quick=True)
    keep(key_at(target, spot), found)


def asked(target: Target, spot: Spot, *, compiler: bool, fresh: bool = False) -> Report | None:
    """The report that is known, or made now (if `fresh`, in any case).

    Raises:
        CompilerError: the compiler aborts on it.
    """
    if fresh or (compiler and known(key_at(target, spot)) is None):
        apart(make, target, spot)
    return known(key_at(target, spot))


def found_of(target: Target, family: str, *, compiler: bool, estimate: bool, fresh: bool) -> Found:
    """The climb of a row."""
    tried: set[Spot] = set()

    def ask(spot: Spot) -> Report | None:
        again = fresh and compiler and spot not in tried
        tried.add(spot)
        return asked(target, spot, compiler=compiler, fresh=again)

    found = smallest(target.make, CHIPS[family], ask, estimate=estimate)
    if found.report is None:
        return found
    return row_of(target.name, family, target.shapes, found.report, found.below)
