"""What a training step of each arm takes, all measured side by side.

Trainings of a study run one after the other, on a machine that may do other things meanwhile:
their wall time compares hours of the day. Here the steps of all stages of all arms are compiled
first, then taken in turn, a few of each a round, and told by their median.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wamjax.core.config import fingerprint, to_json
from wamjax.core.errors import UserError
from wamjax.core.runtime import device_name, source
from wamjax.eval.plan.case import case_of_config
from wamjax.eval.step_time import WARMUP, Stepper
from wamjax.eval.study.study import Study
from wamjax.parallel.mesh import make_mesh
from wamjax.train.flops import compiled
from wamjax.train.run_config import RunConfig
from wamjax.train.stages import stages_of

TIMES = "times.json"
ROUNDS, EACH = 8, 4


def content_of(config: RunConfig) -> str:
    """A digest of what a step's time follows from."""
    return fingerprint({"config": to_json(dataclasses.replace(config, name=""))})


def steppers(config: RunConfig) -> dict[str, Stepper]:
    """Stage -> its compiled step, on a random batch."""
    mesh, found = make_mesh(config.mesh), {}
    for part in config.stages:
        case = case_of_config(config, stage=part)
        placed = case.placed(mesh)
        executable, _, _ = compiled(placed.program, *placed.arguments)
        found[part.name] = Stepper.on_random(case, case.planned(mesh), executable, mesh)
    return found


def step_times(
    study: Study,
    *,
    rounds: int = ROUNDS,
    each: int = EACH,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The content of times.json: arm -> stage by stage its last step and milliseconds of a step.

    Arms of RL, which go on from another, are left out: an iteration is worlds as well as a step.

    Args:
        study: whose arms are measured.
        rounds: through all stages of all arms.
        each: steps of a stage in a round.
        told: called with a line where something begins.

    Raises:
        UserError: a loss is not finite.
    """
    ready: dict[tuple[str, str], Stepper] = {}
    for arm in study.arms:
        if not arm.after:
            told(f"compile {arm.name}")
            ready |= {(arm.name, stage): step for stage, step in steppers(arm.config).items()}
    for step in ready.values():
        for _ in range(WARMUP):
            step.take()
    spent: dict[tuple[str, str], list[float]] = {key: [] for key in ready}
    for number in range(rounds):
        told(f"round {number + 1} of {rounds}")
        for key, step in ready.items():
            spent[key] += [step.take()[0] for _ in range(each)]
    for (arm, stage), step in ready.items():
        if not np.isfinite(step.loss):
            raise UserError(
                f"the loss of {arm} ({stage}) became {step.loss}: its times mean nothing."
            )
    arms = {}
    for arm in study.arms:
        if arm.after:
            continue
        stages = []
        for stage in stages_of(arm.config.stages, arm.config.train.steps):
            p50, p95 = np.quantile(1e3 * np.array(spent[arm.name, stage.name]), [0.5, 0.95])
            times = {"p50_ms": round(float(p50), 3), "p95_ms": round(float(p95), 3)}
            stages.append({"name": stage.name, "end": stage.end, **times})
        arms[arm.name] = {"content": content_of(arm.config), "stages": stages}
    return {
        "arms": arms,
        "steps": rounds * each,
        "device": device_name(),
        "source": source(),
    }


def usable(study: Study, times: Mapping[str, Any]) -> bool:
    """Whether they are of every arm of a study that is not of RL, as it is now."""
    arms = times["arms"]
    return all(
        arm.name in arms and arms[arm.name]["content"] == content_of(arm.config)
        for arm in study.arms
        if not arm.after
    )


def seconds_until(times: Mapping[str, Any], arm: str, step: int) -> float:
    """What the first steps of an arm take by the median of each stage's."""
    spent, start = 0.0, 0
    for stage in times["arms"][arm]["stages"]:
        spent += max(0, min(stage["end"], step) - start) * stage["p50_ms"] / 1e3
        start = stage["end"]
    return spent
