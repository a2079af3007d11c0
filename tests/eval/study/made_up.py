"""A study of three arms on the quick start's system, and episodes that nobody played."""

import dataclasses
import json
from collections.abc import Iterator, Mapping

import numpy as np

from wamjax.cli.quickstart_config import CONFIG
from wamjax.eval.study import Arm, Condition, Data, Mode, Study, Worlds, matching, tables
from wamjax.eval.study.matching import Budget
from wamjax.eval.study.records import Episode
from wamjax.eval.worlds import AXES, CLEAN
from wamjax.recipes.objectives import Training
from wamjax.recipes.tabletop import tabletop
from wamjax.sim.tasks.registry import find_task
from wamjax.train.ript_config import RiptConfig

RATES = {"direct": 0.5, "cotrain": 0.55, "joint": 0.8}
WORLDS = {CLEAN: 30, **dict.fromkeys(AXES, 20)}
DEVICE = "cpu, made up"


def arm(training: Training, **options: object) -> Arm:
    """An arm that differs in the objective."""
    config = dataclasses.replace(CONFIG, name=training, system=tabletop(training))
    return Arm(name=training, says=f"the objective {training}", config=config, **options)  # pyright: ignore


def rewarded(after: Arm, iterations: int = 10) -> Arm:
    """An arm that goes on from another by RL."""
    config = dataclasses.replace(after.config, ript=RiptConfig(iterations=iterations))
    name = f"{after.name}_rl"
    return Arm(name=name, says="rewarded", config=config, after=after.name)


def study(**options: object) -> Study:
    """Three objectives against `direct`, one of them in two modes."""
    modes = (Mode(), Mode(name="few", steps=2))
    settings: dict = {
        "name": "made_up",
        "question": "Is anything better than direct?",
        "arms": (arm("direct"), arm("cotrain"), arm("joint", modes=modes)),
        "against": "direct",
        "seeds": (0, 1),
        "data": (Data(name="clean", clean=64),),
        "tasks": ("reach", "push"),
        "worlds": Worlds(manifest="", clean=WORLDS[CLEAN], each=WORLDS["camera"]),
    }
    return Study(**(settings | options))


def played(
    study: Study,
    rates: Mapping[str, float] = RATES,
    seed: int = 0,
    worlds: Mapping[str, int] = WORLDS,
) -> Iterator[Episode]:
    """Episodes at these rates, worse where severity grows, in so many worlds of each axis."""
    rng = np.random.default_rng(seed)
    for condition in study.conditions:
        for number in study.seeds:
            for repeat in range(study.worlds.repeats):
                for task in study.tasks:
                    yield from _task(rng, condition, number, repeat, task, rates, worlds)


def _task(
    rng: np.random.Generator,
    condition: Condition,
    seed: int,
    repeat: int,
    task: str,
    rates: Mapping[str, float],
    worlds: Mapping[str, int],
) -> Iterator[Episode]:
    world = 0
    for axis, count in worlds.items():
        for place in range(count):
            severity = 0 if axis == CLEAN else 1 + place % 5
            chance = rates[condition.arm.name] * (1 - 0.1 * severity)
            success = bool(rng.random() < chance)
            closest = float(rng.uniform(0, 0.2))
            yield Episode(
                condition=condition.key,
                seed=seed,
                repeat=repeat,
                task=task,
                world=world,
                axis=axis,
                sub_axis="" if axis == CLEAN else "some",
                severity=severity,
                success=success,
                steps=int(rng.integers(5, 40)) if success else -1,
                closest=round(closest, 4),
                distance=round(closest + float(rng.uniform(0, 0.1)), 4),
                diverged=False,
                mode=str(rng.choice(find_task(task).modes)) if success else "",
                other=not success and place % 7 == 3,
            )
            world += 1


def costs(study: Study, budgets: Mapping[str, Budget] | None = None) -> dict:
    """As `wamjax study` writes them; budgets are counted where none are given."""
    runs = {
        run.name: {
            "parameters": 1_227_199,
            "trained": {"main": 1_227_199},
            "steps": run.arm.config.train.steps,
            "flops": 1.4e13,
            "seconds": 200.0 + 10 * run.seed,
            "compile_seconds": 12.0,
            "skipped_steps": 0,
            "weights_sha256": "0" * 64,
            "losses": {"loss": 0.3},
            "device": DEVICE,
        }
        for run in study.runs
    }
    conditions = {
        condition.key: {
            "ms_per_chunk": 5.0 + place,
            "ms_per_chunk_p95": 6.0 + place,
            "actions_per_chunk": 4,
            "device": DEVICE,
        }
        for place, condition in enumerate(study.conditions)
    }
    budgets = budgets or {arm.name: matching.budget(arm.config) for arm in study.arms}
    return {
        "budgets": {name: dataclasses.asdict(found) for name, found in budgets.items()},
        "unmatched": matching.unmatched(study, budgets),
        "runs": runs,
        "conditions": conditions,
        "manifest_sha256": "f" * 64,
        "times": None,
        "versions": {"jax": "0.9.2"},
    }


def budgets(study: Study) -> dict[str, Budget]:
    """As `matching.budget` counts them, without building a program."""
    return {
        arm.name: Budget(
            parameters=1_227_199,
            trained={"main": 1_227_199},
            steps=arm.config.train.steps,
            batch=arm.config.train.batch,
            course=((arm.config.train.steps, 6e9 + 1e9 * place),),
            memory=(20 + place) * 2.0**20,
        )
        for place, arm in enumerate(study.arms)
    }


def results(
    study: Study,
    rates: Mapping[str, float] = RATES,
    worlds: Mapping[str, int] = WORLDS,
) -> dict:
    """The content of a study.json."""
    episodes = played(study, rates, worlds=worlds)
    found = tables.results(study, episodes, costs(study, budgets(study)))
    return json.loads(json.dumps(found))
