"""A condition of a study tried: its weights at all seeds, in the study's worlds.

An evaluation goes on behind the last (seed, task) that is whole.
"""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from wamjax.cli.eval import worlds_of
from wamjax.cli.study_place import CHUNKS, PICTURES, Place, checkpoint_steps
from wamjax.cli.worlds import action_frame
from wamjax.core.files import write_json
from wamjax.core.runtime import device_name
from wamjax.eval.evaluate import Facts, episodes_of, evaluate
from wamjax.eval.gallery import film
from wamjax.eval.latency import chunk_latency
from wamjax.eval.programs import Contestants, Programs, Stage
from wamjax.eval.study.pictures import told
from wamjax.eval.study.records import episodes_from
from wamjax.eval.study.study import Condition, Run
from wamjax.eval.study.tables import cause
from wamjax.eval.target_domain import TargetPrograms
from wamjax.eval.trained_run import TrainedRun, open_run
from wamjax.eval.worlds import Worlds, take
from wamjax.policy.base import Policy
from wamjax.sim.env import TabletopEnv

BATCH = {"source": 64, "target": 32}


def opened(place: Place, run: Run, condition: Condition) -> TrainedRun:
    """The weights of a condition, sampled in its mode."""
    study, mode = place.study, condition.mode
    steps = checkpoint_steps(study, run.arm.steps)
    return (
        open_run(place.run_folder(run), steps[study.checkpoints.index(condition.fraction)])
        .sampling(program=mode.program, steps=mode.steps, temperature=mode.temperature)
        .choosing(mode.candidates)
    )


def worlds_by_task(place: Place, trained: TrainedRun, domain: str) -> dict[str, Worlds]:
    """Task -> its worlds, for policies of this data."""
    frame, system = action_frame(trained.statistics), trained.config.system
    found = {}
    for task in place.study.tasks:
        env = TabletopEnv(
            task,
            image_size=system.image_size,
            physics=place.physics,
            action=frame,
            text_length=system.text_length,
        )
        worlds = worlds_of(place.manifest, env, task)
        if domain == "target":
            worlds = dataclasses.replace(worlds, settings=f"target {worlds.settings}")
        found[task] = worlds
    return found


def tried(
    place: Place, condition: Condition, runs: Sequence[Run], before: Programs | None = None
) -> Programs | None:
    """Try a condition at all its seeds; compiled programs serve them all.

    Args:
        before: the programs of a condition that differs in its checkpoint alone.

    Returns:
        The programs for the next such condition; None in the target domain.
    """
    weights = {run.seed: opened(place, run, condition) for run in runs}
    first = weights[runs[0].seed]
    # One program and one policy serve all seeds: they must mean the same numbers.
    meant = [trained.statistics.to_json() for trained in weights.values()]
    assert all(one == meant[0] for one in meant), "seeds with other statistics of their data"
    worlds = worlds_by_task(place, first, condition.domain)
    if before is None:
        cameras = next(iter(worlds.values())).env.cameras
        policy = first.policy(cameras, condition.mode.replan)
    else:
        policy, _ = next(iter(before.contestants.values()))
    contestants: Contestants = {
        f"seed{seed}": (policy, trained.weights) for seed, trained in weights.items()
    }
    with contextlib.ExitStack() as closed_at_the_end:
        programs: Stage
        if condition.domain == "target":
            programs = TargetPrograms(contestants, worlds, batch=BATCH["target"])
            closed_at_the_end.callback(programs.close)
        elif before is not None:
            programs = before.playing(contestants)
        else:
            programs = Programs(
                contestants,
                batch=BATCH["source"],
                keep=condition.mode == condition.arm.modes[0],
                # How alike solutions are is asked where worlds are rolled out several times.
                track=TabletopEnv.tips if place.study.worlds.repeats > 1 else None,
            )
        facts = Facts(
            parameters=first.parameters,
            train_seconds=0.0,
            train_flops=0.0,
            manifest_sha256=place.manifest.sha256,
        )
        for repeat in range(place.study.worlds.repeats):
            evaluate(
                contestants,
                worlds,
                facts=facts,
                seed=place.study.world_seed + repeat,
                directory=place.trial_folder(condition) / str(repeat),
                batch=BATCH[condition.domain],
                main=f"seed{runs[0].seed}",
                programs=programs,
            )
        if isinstance(programs, Programs) and place.pictured(condition):
            _film(place, condition, runs[0], contestants, worlds, programs)
    _time(place, condition, policy, first, worlds)
    return programs if isinstance(programs, Programs) else None


def _film(
    place: Place,
    condition: Condition,
    run: Run,
    contestants: Contestants,
    worlds: Mapping[str, Worlds],
    programs: Programs,
) -> None:
    """Keep pictures of some episodes, unless they are there."""
    folder, name = place.trial_folder(condition), f"seed{run.seed}"
    if (folder / PICTURES).is_file():
        return
    found = []
    for task, its in worlds.items():
        rows = episodes_of(folder / "0", name, task)
        ends = [cause(e) for e in episodes_from(condition.key, run.seed, 0, task, rows)]
        gallery = film(
            task,
            its,
            *contestants[name],
            episodes=rows,
            seed=place.study.world_seed,
            runner=programs.find(name, task, its).rollout,
            kinds=ends,
        )
        found.append(gallery)
    write_json(folder / PICTURES, told(found))


def _time(
    place: Place,
    condition: Condition,
    policy: Policy,
    trained: TrainedRun,
    worlds: Mapping[str, Worlds],
) -> None:
    """Keep how long a chunk takes, unless it is there."""
    path = place.trial_folder(condition) / CHUNKS
    if path.is_file():
        return
    its = next(iter(worlds.values()))
    one = jax.tree.map(lambda leaf: leaf[0], take(its.variants, np.array([0])))
    speed = chunk_latency(policy, trained.weights, its.env, one)
    costs = {
        "ms_per_chunk": round(speed.p50_ms, 3),
        "ms_per_chunk_p95": round(speed.p95_ms, 3),
        "actions_per_chunk": policy.replan,
        "device": device_name(),
    }
    write_json(path, costs)
