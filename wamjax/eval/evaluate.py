"""Policies x tasks x perturbation axes -> one table of success rates.

Every policy is tried in the same worlds with the same seeds, so that differences are paired. Each
(policy, task) is written as soon as it is done, with a fingerprint of everything that decides its
numbers; an interrupted evaluation goes on behind the last one that is whole.
"""

import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from wamjax.core.config import fingerprint
from wamjax.core.errors import UserError
from wamjax.core.files import read_json, write_json, write_text
from wamjax.core.progress import Progress
from wamjax.core.runtime import device_name, versions
from wamjax.core.tree import weights_sha256
from wamjax.eval.diversity import resample_path
from wamjax.eval.latency import Latency, chunk_latency
from wamjax.eval.outcome import NEVER, Outcome
from wamjax.eval.programs import Contestants, Player, Programs, Stage
from wamjax.eval.tally import comparisons, summary
from wamjax.eval.worlds import Worlds, take
from wamjax.policy.base import Policy

PATH_POINTS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What the evaluation cannot know about the policy under test.

    Attributes:
        parameters: number of trained scalars.
        train_seconds: wall seconds of training.
        train_flops: model FLOPs of training, counted analytically.
        manifest_sha256: names the worlds.
    """

    parameters: int
    train_seconds: float
    train_flops: float
    manifest_sha256: str


def evaluate(
    policies: Contestants,
    worlds: Mapping[str, Worlds],
    *,
    facts: Facts,
    seed: int,
    directory: str | os.PathLike,
    batch: int = 64,
    main: str = "trained",
    programs: Stage | None = None,
) -> dict[str, Any]:
    """Try every policy on every task; write results.json and episodes.jsonl into `directory`.

    Args:
        policies: name -> (policy, weights).
        worlds: task -> its worlds, clean ones and perturbed ones.
        facts: see Facts.
        seed: of the policies' own draws.
        directory: where results are written, and where unfinished ones are found again.
        batch: worlds at once.
        main: the policy whose latency and speed are reported, and that others are compared with.
        programs: where these policies play, to share compiled rollouts with `film`; made here
            when not given.

    Returns:
        The content of results.json. Rates are fractions in 0 ... 1 with Wilson 95 % intervals.

    Raises:
        UserError: `main` is not among the policies, or a policy does not fit an environment.
    """
    if main not in policies:
        raise UserError(f"there is no policy {main!r} to evaluate; got {', '.join(policies)}.")
    stage: Stage = Programs(policies, batch=batch) if programs is None else programs
    folder = pathlib.Path(directory)
    hashes = {name: weights_sha256(weights) for name, (_, weights) in policies.items()}
    parts: dict[tuple[str, str], dict[str, Any]] = {}
    total = len(policies) * sum(len(task.axes) for task in worlds.values())
    with Progress("evaluate", total, "episodes") as progress:
        for task, place in worlds.items():
            for name, (policy, _) in policies.items():
                identity = _identity(facts, task, place, seed, stage.batch, policy, hashes[name])
                path = folder / "parts" / f"{name}.{task}.json"
                part = _finished(path, identity)
                if part is None:
                    runner = stage.find(name, task, place, progress.say)
                    part = {
                        "identity": identity,
                        **_run(runner, place, seed, progress, f"{name} {task}"),
                    }
                    write_json(path, part)
                else:
                    progress.advance(len(place.axes), f"{name} {task}, kept")
                parts[name, task] = part
    task, place = next(iter(worlds.items()))
    policy, weights = policies[main]
    one = jax.tree.map(lambda leaf: leaf[0], take(place.variants, np.array([0])))
    speed = chunk_latency(policy, weights, place.env, one)
    results = _results(policies, worlds, parts, facts, seed, main, speed)
    write_text(folder / "episodes.jsonl", _lines(parts))
    write_json(folder / "results.json", results)
    return results


def _identity(
    facts: Facts, task: str, place: Worlds, seed: int, batch: int, policy: Policy, weights: str
) -> str:
    """Equal for two runs only if nothing that decides the numbers differs."""
    where = [facts.manifest_sha256, task, place.rows, place.axes, place.horizon, place.settings]
    return fingerprint([where, seed, batch, weights, policy.chunk, policy.replan, policy.settings])


def _run(runner: Player, place: Worlds, seed: int, progress: Progress, note: str) -> dict[str, Any]:
    started = time.monotonic()
    outcome = runner(place, jax.random.key(seed), lambda done: progress.advance(done, note))
    seconds = time.monotonic() - started
    return {
        "seconds": seconds,
        "compile_seconds": runner.compile_seconds,
        # Steps that were computed, those of repeats and of finished worlds too.
        "env_steps": -(-len(place.axes) // runner.batch) * runner.batch * place.horizon,
        "episodes": _episodes(outcome, place),
    }


def _episodes(outcome: Outcome, place: Worlds) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "axis": axis,
            "success": bool(outcome.success[world]),
            "steps_to_success": int(outcome.steps_to_success[world]),
            "distance": _number(outcome.distance[world]),
            "closest": _number(outcome.closest[world]),
            "diverged": bool(outcome.diverged[world]),
            "mode": _mode(int(outcome.mode[world]), place),
            "other": bool(outcome.other[world]),
            "path": _path(outcome, world),
        }
        for world, (axis, row) in enumerate(zip(place.axes, place.rows))
    ]


def _mode(mode: int, place: Worlds) -> str | None:
    """The way that was taken, by name; None where none showed."""
    return place.modes[mode] if 0 <= mode < len(place.modes) else None


def _path(outcome: Outcome, world: int) -> list[list[int]] | None:
    """What was tracked until the task was solved, or to the end, in thousandths, at PATH_POINTS
    equal steps of its length."""
    if outcome.path is None or outcome.diverged[world]:
        return None
    path, steps = outcome.path[world], int(outcome.steps_to_success[world])
    whole = path if steps == NEVER else path[: steps + 1]
    points = resample_path(np.asarray(whole, np.float64), PATH_POINTS)
    return np.round(1000 * points).astype(int).tolist()


def _number(value: Any) -> float | None:
    """JSON has no NaN; a world that diverged at once has no distance."""
    return float(value) if np.isfinite(value) else None


def _finished(path: pathlib.Path, identity: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    part = read_json(path)
    return part if part["identity"] == identity else None


def episodes_of(directory: str | os.PathLike, policy: str, task: str) -> list[dict[str, Any]]:
    """Episode records of a policy on a task that `evaluate` left in `directory`, in world order.

    Raises:
        UserError: that evaluation has not been done there.
    """
    part = read_json(pathlib.Path(directory) / "parts" / f"{policy}.{task}.json")
    return part["episodes"]


def _results(
    policies: Contestants,
    worlds: Mapping[str, Worlds],
    parts: dict[tuple[str, str], dict[str, Any]],
    facts: Facts,
    seed: int,
    main: str,
    speed: Latency,
) -> dict[str, Any]:
    mine = [parts[main, task] for task in worlds]
    episodes = {name: {task: parts[name, task]["episodes"] for task in worlds} for name in policies}
    return {
        "policies": {
            name: {task: summary(rows) for task, rows in tasks.items()}
            for name, tasks in episodes.items()
        },
        "comparisons": comparisons(episodes, main),
        "manifest_sha256": facts.manifest_sha256,
        "seed": seed,
        "device": device_name(),
        "versions": versions(),
        "parameters": facts.parameters,
        "train_seconds": facts.train_seconds,
        "train_flops": facts.train_flops,
        "ms_per_chunk": speed.p50_ms,
        "ms_per_chunk_p95": speed.p95_ms,
        "env_steps_per_second": sum(p["env_steps"] for p in mine) / sum(p["seconds"] for p in mine),
        "horizon": {task: place.horizon for task, place in worlds.items()},
        "evaluate_seconds": sum(part["seconds"] for part in parts.values()),
    }


def _lines(parts: dict[tuple[str, str], dict[str, Any]]) -> str:
    rows = (
        {"policy": name, "task": task, **episode}
        for (name, task), part in parts.items()
        for episode in part["episodes"]
    )
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
