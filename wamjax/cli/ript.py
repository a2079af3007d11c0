"""`wamjax train` with a ript stage: worlds, policy and loop of RL after imitation, put together."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from wamjax.cli.worlds import action_frame
from wamjax.core.errors import UserError
from wamjax.core.typing import Params
from wamjax.eval.groups import Arena, Groups, play_groups
from wamjax.eval.reward_curve import reward_curve
from wamjax.eval.rollout import Rollout, rollout
from wamjax.eval.statistics import wilson
from wamjax.eval.trained_run import TrainedRun, open_run
from wamjax.policy.base import Policy
from wamjax.sim.env import TabletopEnv
from wamjax.sim.manifest import build_manifest
from wamjax.sim.tasks.registry import find_task
from wamjax.sim.variants import Variant
from wamjax.train.metrics import read_metrics
from wamjax.train.ript import reward
from wamjax.train.ript_config import RiptConfig
from wamjax.train.run_config import RunConfig

OWN = ("--config.ript.", "--config.name")


def refuse_others(overrides: Sequence[str]) -> None:
    """Of a ript stage only its own settings can be chosen.

    Raises:
        UserError: an override names a setting that is taken from the run it starts from.
    """
    for word in overrides:
        if not word.startswith(OWN):
            raise UserError(
                f"{word.partition('=')[0]} has no meaning in a ript stage: system, data, training "
                "and mesh are those of ript.start; leave it out."
            )


def continued(config: RunConfig, settings: RiptConfig) -> tuple[RunConfig, TrainedRun]:
    """The run with everything that it takes from where it starts, and that run.

    Raises:
        UserError: no start is named, or it holds no checkpoint.
    """
    if not settings.start:
        raise UserError(
            "a ript stage starts from a trained policy; give --config.ript.start=DIR, its workdir."
        )
    if not pathlib.Path(settings.start).is_dir():
        raise UserError(
            f"ript.start: {settings.start} does not exist; give the workdir of a finished run."
        )
    start = open_run(settings.start)
    theirs = start.config
    whole = RunConfig(
        name=config.name, system=theirs.system, data=theirs.data, train=theirs.train, ript=settings
    )
    return whole, start


def clean_worlds(seeds: np.ndarray) -> Variant:
    """Clean variants of these seeds, int32 [E]."""
    zero = np.zeros_like(seeds)
    return Variant(axis=zero, sub_axis=zero, preset=zero, severity=zero, seed=seeds)


class HeldOut:
    """Success in clean worlds of the evaluations' half, where no rollout learns.

    Args:
        policy: without law; it answers as `wamjax eval` lets it.
        envs: task -> environment.
        settings: how many worlds, and which.
        weights: whose shapes to compile for.
    """

    def __init__(
        self,
        policy: Policy,
        envs: Mapping[str, TabletopEnv],
        settings: RiptConfig,
        weights: Params,
    ):
        manifest = build_manifest(
            list(envs),
            (),
            clean=settings.evaluate_worlds,
            per_axis=0,
            severities=(),
            seed=settings.evaluate_seed,
        )
        self.policy, self.envs, self.weights = policy, envs, weights
        self.key = jax.random.key(settings.evaluate_seed)
        self.variants = {task: manifest.variants(task) for task in envs}
        self._compiled: dict[str, Rollout] = {}

    def _rollout(self, task: str) -> Rollout:
        if task not in self._compiled:
            env, variants = self.envs[task], self.variants[task]
            self._compiled[task] = rollout(
                self.policy,
                env,
                env.horizon,
                weights=self.weights,
                variants=variants,
                batch=min(64, variants.seed.shape[0]),
                keep=False,
            )
        return self._compiled[task]

    def __call__(self, weights: Params, step: int) -> dict[str, float]:
        """Success rate of every task with both ends of its Wilson 95 % interval."""
        row: dict[str, float] = {}
        for task, variants in self.variants.items():
            success = self._rollout(task)(weights, variants, self.key).success
            low, high = wilson(int(success.sum()), len(success))
            row |= {
                f"success/{task}": float(success.mean()),
                f"success/{task}/low": low,
                f"success/{task}/high": high,
            }
        return row


def run_ript(config: RunConfig, workdir: pathlib.Path, devices: Any = None) -> dict[str, Any]:
    """Build policy and worlds from the run it starts from, and reward it.

    Returns:
        What `wamjax.train.ript.reward` returns. The curve stands in `workdir/curve.png`.

    Raises:
        UserError: no such start, task, or log-probability; and what `reward` refuses.
    """
    assert config.ript is not None
    for task in config.ript.tasks:
        find_task(task)
    config, start = continued(config, config.ript)
    settings = config.ript
    assert settings is not None
    system = config.system
    envs = {
        task: TabletopEnv(
            task,
            image_size=system.image_size,
            physics=settings.physics,
            action=action_frame(start.statistics),
            text_length=system.text_length,
        )
        for task in settings.tasks
    }
    cameras = next(iter(envs.values())).cameras
    policy = start.policy(cameras, settings.replan, settings.strength)
    law = policy.law
    assert law is not None
    one = jax.tree.map(lambda leaf: leaf[0], clean_worlds(np.zeros(1, np.int32)))
    arenas = [
        Arena(
            name=task,
            play=play_groups(policy, law, env, env.horizon, one),
            variants=clean_worlds,
            plans=-(-env.horizon // policy.replan),
        )
        for task, env in envs.items()
    ]
    collect = Groups(
        arenas=arenas,
        law=law,
        groups=settings.groups,
        rollouts=settings.rollouts,
        replan=policy.replan,
        rounds=settings.rounds,
        seed=settings.seed,
    )
    final = reward(
        config,
        workdir,
        system=start.system,
        weights=start.weights,
        statistics=start.statistics.to_json(),
        collect=collect,
        log_probs=law.log_probs,
        evaluate=HeldOut(policy, envs, settings, start.weights),
        devices=devices,
    )
    reward_curve(read_metrics(workdir), workdir / "curve.png")
    return final
