"""Whether arms are matched: the same windows in the same order, parameters within 5 %, the same
optimizer steps or the same FLOPs.

    FLOPs of a run = sum over stages of steps x (FLOPs of the stage's step, walked over its program)

A batch is drawn by data, data.seed and the step, so equal data configs and batches are equal
windows in equal order.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from wamjax.core.config import difference, to_json
from wamjax.eval.plan.case import boxed_of, case_of_config
from wamjax.eval.study.study import Arm, Aspect, Study
from wamjax.parallel.mesh import make_mesh
from wamjax.recipes.assembly import assembled
from wamjax.train.run_config import RunConfig
from wamjax.train.stages import stages_of

WITHIN = 0.05


@dataclasses.dataclass(frozen=True)
class Budget:
    """What training an arm takes, counted on its programs without running them.

    Attributes:
        parameters: weights.
        trained: stage -> weights that learn.
        steps: of the optimizer.
        batch: windows a step.
        course: per stage (its last step, FLOPs a step).
        memory: bytes a device of weights, average, optimizer and batch, in the largest stage.
    """

    parameters: int
    trained: dict[str, int]
    steps: int
    batch: int
    course: tuple[tuple[int, float], ...]
    memory: float

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Budget":
        """From plain values."""
        course = tuple((int(end), float(each)) for end, each in told["course"])
        return cls(**{**told, "course": course})

    @property
    def flops(self) -> float:
        """Of the whole training."""
        return self.until(self.steps)

    def until(self, step: int) -> float:
        """FLOPs of the first steps."""
        spent, start = 0.0, 0
        for end, each in self.course:
            spent += max(0, min(end, step) - start) * each
            start = end
        return spent


def budget(config: RunConfig) -> Budget:
    """Of a run."""
    return _budget(dataclasses.replace(config, name=""))


@functools.lru_cache(maxsize=64)
def _budget(config: RunConfig) -> Budget:
    mesh: Mesh = make_mesh(config.mesh)
    memory, trained = 0.0, {}
    course: list[tuple[int, float]] = []
    stages = stages_of(config.stages, config.train.steps)
    for part, stage in zip(config.stages, stages, strict=True):
        placed = case_of_config(config, stage=part).placed(mesh)
        course.append((stage.end, placed.flops))
        memory = max(memory, sum(placed.parts.values()))
        trained[stage.name] = placed.trained
    return Budget(
        parameters=weights_of(config),
        trained=trained,
        steps=config.train.steps,
        batch=config.train.batch,
        course=tuple(course),
        memory=memory,
    )


def weights_of(config: RunConfig) -> int:
    """Weights of a run's system."""
    return sum(leaf.size for leaf in jax.tree.leaves(boxed_of(assembled(config.system))))


def _apart(one: float, other: float) -> float:
    return abs(one / other - 1)


def unmatched(study: Study, budgets: Mapping[str, Budget]) -> dict[Aspect, list[str]]:
    """Aspect -> a sentence for every arm that differs in it from the one it is compared with."""
    reference, found = study.arm(study.against), dict[Aspect, list[str]]()

    def tell(aspect: Aspect, sentence: str) -> None:
        found.setdefault(aspect, []).append(sentence)

    base = budgets[reference.name]
    for arm in study.arms:
        mine = budgets[arm.name]
        for path, own, theirs in windows_apart(arm, reference):
            tell("windows", f"{arm.name} has {path} {own}, {reference.name} has {theirs}")
        if _apart(mine.parameters, base.parameters) > WITHIN:
            tell(
                "parameters",
                f"{arm.name} has {mine.parameters:,} weights, {reference.name} "
                f"{base.parameters:,}: more than {100 * WITHIN:g} % apart",
            )
        if arm.after:
            tell("budget", f"{arm.name} goes on from {arm.after} by {arm.steps:,} iterations of RL")
        match study.match:
            case "steps":
                if mine.steps != base.steps:
                    tell(
                        "budget",
                        f"{arm.name} takes {mine.steps:,} steps, {reference.name} {base.steps:,}",
                    )
            case "flops":
                if _apart(mine.flops, base.flops) > WITHIN:
                    tell(
                        "budget",
                        f"{arm.name} takes {mine.flops:.3g} FLOP of training, {reference.name} "
                        f"{base.flops:.3g}: more than {100 * WITHIN:g} % apart",
                    )
    return found


def windows_apart(arm: Arm, reference: Arm) -> Sequence[tuple[str, Any, Any]]:
    """Settings by which arms are given other windows: (path, the arm's, the reference's)."""

    def told(config: RunConfig) -> dict[str, Any]:
        return {"data": to_json(config.data), "train": {"batch": config.train.batch}}

    return difference(told(arm.config), told(reference.config))


def with_equal_flops(study: Study, budgets: Mapping[str, Budget]) -> Study:
    """The study whose arms take as many steps as give them the FLOPs of `against`'s."""
    whole = budgets[study.against].flops

    def scaled(arm: Arm) -> Arm:
        mine = budgets[arm.name]
        steps = max(1, round(mine.steps * whole / mine.flops))
        train = dataclasses.replace(arm.config.train, steps=steps)
        return dataclasses.replace(arm, config=dataclasses.replace(arm.config, train=train))

    return dataclasses.replace(study, arms=tuple(map(scaled, study.arms)), match="flops")


def unlike_demonstrations(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What differs in the demonstrations of runs that were gathered from several machines.

    Args:
        runs: ARM/DATA/seedN -> its costs, with the digest of its "statistics".
    """
    found: dict[str, dict[str, list[str]]] = {}
    for name, told in runs.items():
        arm, data, _ = name.split("/")
        arms = found.setdefault(data, {}).setdefault(told["statistics"], [])
        if arm not in arms:
            arms.append(arm)
    return [
        f"demonstrations {data} are not the same numbers for {' and for '.join(groups)}"
        for data, by in found.items()
        if len(groups := [", ".join(arms) for arms in by.values()]) > 1
    ]
