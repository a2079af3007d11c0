"""What a study runs: demonstrations, one training for each run, one evaluation for each condition.

    WORKDIR/demos/DATA_CLEAN_RANDOMISED/   demonstrations, by how many
    WORKDIR/runs/ARM/DATA/seedN/           as of `wamjax train`
    WORKDIR/STUDY/manifest.json
    WORKDIR/STUDY/trials/CONDITION/N/      as of `wamjax eval`, a policy for each seed
    WORKDIR/STUDY/trials/CONDITION/costs.json, pictures.json

Studies of one workdir share demonstrations and trainings; a training of another config is refused.

Every part goes on where it was: a training from its last checkpoint, an evaluation behind the last
(seed, task) that is whole. What was run elsewhere (`Place.also`) is neither trained nor tried here.
"""

import dataclasses
import functools
import itertools
import math
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from wamjax.cli.demos import NAME, VERSION, Demos, write_demos
from wamjax.cli.eval import worlds_of
from wamjax.cli.ript import run_ript
from wamjax.cli.train import run_training
from wamjax.cli.worlds import action_frame
from wamjax.core.config import fingerprint, to_json
from wamjax.core.errors import Unfinished
from wamjax.core.files import read_json, write_json
from wamjax.core.runtime import device_name, source, versions
from wamjax.data import Statistics, read_episodes, statistics_for
from wamjax.data.writing.rlds import dataset_directory
from wamjax.eval.evaluate import Facts, episodes_of, evaluate
from wamjax.eval.gallery import film
from wamjax.eval.latency import chunk_latency
from wamjax.eval.programs import Contestants, Programs, Stage
from wamjax.eval.study.elsewhere import Elsewhere
from wamjax.eval.study.matching import Budget
from wamjax.eval.study.pictures import Pictures, told
from wamjax.eval.study.records import Episode, episodes_from
from wamjax.eval.study.study import Aspect, Condition, Data, Run, Study
from wamjax.eval.study.tables import cause
from wamjax.eval.study.times import TIMES, usable
from wamjax.eval.target_domain import TargetPrograms
from wamjax.eval.trained_run import TrainedRun, open_run
from wamjax.eval.worlds import Worlds as Places
from wamjax.eval.worlds import take
from wamjax.sim.axes import AXIS_NAMES
from wamjax.sim.env import TabletopEnv
from wamjax.sim.manifest import Manifest, build_manifest, named_manifest
from wamjax.sim.stepping import Physics
from wamjax.train.run_config import RunConfig

PICTURES = "pictures.json"
BATCH = {"source": 64, "target": 32}
QUARTERS = 4
"""A run keeps its weights after each quarter, so that a later study may try them."""


def manifest_of(study: Study) -> Manifest:
    """The worlds in which everything is tried."""
    worlds = study.worlds
    if worlds.manifest:
        return named_manifest(worlds.manifest, study.tasks, study.world_seed)
    return build_manifest(
        study.tasks,
        worlds.axes or AXIS_NAMES,
        clean=worlds.clean,
        per_axis=worlds.each,
        severities=(1, 2, 3, 4, 5),
        seed=study.world_seed,
    )


def checkpoint_steps(study: Study, steps: int) -> tuple[int, ...]:
    """After which steps the weights are tried."""
    return tuple(max(1, round(fraction * steps)) for fraction in study.checkpoints)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """A study in its workdir.

    Attributes:
        study: what is run.
        workdir: where.
        physics: which implementation steps the worlds of training.
        also: records of conditions that were run elsewhere.
    """

    study: Study
    workdir: pathlib.Path
    physics: Physics = "auto"
    also: tuple[Elsewhere, ...] = ()

    @functools.cached_property
    def manifest(self) -> Manifest:
        return manifest_of(self.study)

    @property
    def folder(self) -> pathlib.Path:
        """Of what belongs to this study alone."""
        return self.workdir / self.study.name

    def demos_folder(self, data: Data) -> pathlib.Path:
        """Of demonstrations."""
        whose = data.demos or data.name
        return self.workdir / "demos" / f"{whose}_{data.clean}_{data.randomised}"

    def data_folder(self, data: Data) -> pathlib.Path:
        """Of their RLDS files."""
        return dataset_directory(self.demos_folder(data), NAME, VERSION)

    def run_folder(self, run: Run) -> pathlib.Path:
        """Of its training."""
        return self.workdir / "runs" / run.name

    def trial_folder(self, condition: Condition) -> pathlib.Path:
        """Of its evaluations."""
        return self.folder / "trials" / condition.key

    def config_of(self, run: Run) -> RunConfig:
        """The arm's config on this data, with this seed and the checkpoints that are tried."""
        c, steps = run.arm.config, run.arm.steps
        every = max(1, math.gcd(*checkpoint_steps(self.study, steps), steps // QUARTERS))
        kept, name = max(2, -(-steps // every)), run.name.replace("/", "_")
        if (start := self.study.start(run)) is not None and c.ript is not None:
            folder = str(self.run_folder(start))
            ript = dataclasses.replace(
                c.ript, start=folder, seed=run.seed, save_every=every, keep=kept
            )
            return dataclasses.replace(self.config_of(start), name=name, ript=ript)
        data = dataclasses.replace(
            c.data,
            dir=str(self.data_folder(run.data)),
            seed=run.seed,
            action_share=run.data.action_share,
        )
        return dataclasses.replace(
            c,
            name=name,
            data=data,
            train=dataclasses.replace(
                c.train,
                seed=run.seed,
                save_every=every,
                keep=kept,
            ),
        )

    def content_of(self, run: Run) -> str:
        """A digest of what is trained, wherever its demonstrations and its start lie."""
        config = self.config_of(run)
        data = dataclasses.replace(config.data, dir="")
        ript = None if config.ript is None else dataclasses.replace(config.ript, start="")
        whole = dataclasses.replace(config, data=data, ript=ript)
        return fingerprint({"config": to_json(whole), "data": to_json(run.data)})

    def known(self, condition: Condition) -> Elsewhere | None:
        """The records that hold a condition at all seeds; None where it is run here."""
        runs = {run.name: self.content_of(run) for run in self.runs_of(condition)}
        for other in self.also:
            if other.holds(condition.key, runs, self.manifest.sha256):
                return other
        return None

    def elsewhere(self, run: Run) -> bool:
        """Whether all that is asked of a run is known from elsewhere."""
        asked = self.study.conditions_of(run.arm, run.data)
        return all(self.known(condition) is not None for condition in asked)

    def missing_data(self) -> list[Data]:
        """What is trained on here."""
        named = {run.data.name for run in self.study.runs if not self.elsewhere(run)}
        return [data for data in self.study.data if data.name in named]

    def demonstrate(self, data: Data) -> None:
        """Write demonstrations and their statistics, unless they are there."""
        config = self.study.arms[0].config
        if not self.data_folder(data).exists():
            made = Demos(
                tasks=data.tasks or self.study.tasks,
                clean=data.clean,
                randomised=data.randomised,
                image_size=config.data.image_size,
                physics=self.physics,
                action=data.action,  # pyright: ignore[reportArgumentType]
            )
            write_demos(self.demos_folder(data), made)
        self.statistics_of(data)

    def statistics_of(self, data: Data) -> Statistics:
        """Of demonstrations that are there."""
        own = dataclasses.replace(
            self.study.arms[0].config.data,
            dir=str(self.data_folder(data)),
            action_share=data.action_share,
        )
        return statistics_for(own, read_episodes(own))

    def train(self, run: Run) -> dict[str, Any]:
        """Train a run to its end, and before it the one that it goes on from; its final.json.

        Raises:
            Unfinished: SIGTERM ended it, and it has saved.
        """
        final = self.run_folder(run) / "final.json"
        if final.is_file():
            return read_json(final)
        if (start := self.study.start(run)) is not None:
            self.train(start)
        learn = run_training if start is None else run_ript
        found = learn(self.config_of(run), self.run_folder(run))
        if not found["finished"]:
            raise Unfinished
        return found

    def opened(self, run: Run, condition: Condition) -> TrainedRun:
        """The weights of a condition, sampled in its mode."""
        step = checkpoint_steps(self.study, run.arm.steps)[
            self.study.checkpoints.index(condition.fraction)
        ]
        mode = condition.mode
        return (
            open_run(self.run_folder(run), step)
            .sampling(program=mode.program, steps=mode.steps, temperature=mode.temperature)
            .choosing(mode.candidates)
        )

    def places(self, trained: TrainedRun, domain: str) -> dict[str, Places]:
        """Task -> its worlds, for policies of this data."""
        frame, system = action_frame(trained.statistics), trained.config.system
        found = {}
        for task in self.study.tasks:
            env = TabletopEnv(
                task,
                image_size=system.image_size,
                physics=self.physics,
                action=frame,
                text_length=system.text_length,
            )
            place = worlds_of(self.manifest, env, task)
            if domain == "target":
                place = dataclasses.replace(place, settings=f"target {place.settings}")
            found[task] = place
        return found

    def tried(
        self, condition: Condition, runs: Sequence[Run], before: Programs | None = None
    ) -> Programs | None:
        """Try a condition at all its seeds; compiled programs serve them all.

        Args:
            before: the programs of a condition that differs in its checkpoint alone.

        Returns:
            The programs for the next such condition; None in the target domain.
        """
        opened = {run.seed: self.opened(run, condition) for run in runs}
        first = opened[runs[0].seed]
        # One program and one policy serve all seeds: they must mean the same numbers.
        told = [trained.statistics.to_json() for trained in opened.values()]
        assert all(one == told[0] for one in told), "seeds with other statistics of their data"
        places = self.places(first, condition.domain)
        cameras = next(iter(places.values())).env.cameras
        if before is None:
            policy = first.policy(cameras, condition.mode.replan)
        else:
            policy, _ = next(iter(before.contestants.values()))
        contestants: Contestants = {
            f"seed{seed}": (policy, trained.weights) for seed, trained in opened.items()
        }
        batch = BATCH[condition.domain]
        programs: Stage
        target = None
        if condition.domain == "target":
            programs = target = TargetPrograms(contestants, places, batch=batch)
        else:
            # How alike solutions are is asked where worlds are rolled out several times.
            track = TabletopEnv.tips if self.study.worlds.repeats > 1 else None
            keep = condition.mode == condition.arm.modes[0]
            programs = (
                Programs(contestants, batch=batch, keep=keep, track=track)
                if before is None
                else before.playing(contestants)
            )
        folder = self.trial_folder(condition)
        try:
            for repeat in range(self.study.worlds.repeats):
                evaluate(
                    contestants,
                    places,
                    facts=self._facts(first),
                    seed=self.study.world_seed + repeat,
                    directory=folder / str(repeat),
                    batch=batch,
                    main=f"seed{runs[0].seed}",
                    programs=programs,
                )
            if isinstance(programs, Programs) and self.pictured(condition):
                self._film(condition, runs[0], contestants, places, programs)
        finally:
            if target is not None:
                target.close()
        if not (folder / "costs.json").is_file():
            place = next(iter(places.values()))
            one = jax.tree.map(lambda leaf: leaf[0], take(place.variants, np.array([0])))
            speed = chunk_latency(policy, first.weights, place.env, one)
            costs = {
                "ms_per_chunk": round(speed.p50_ms, 3),
                "ms_per_chunk_p95": round(speed.p95_ms, 3),
                "actions_per_chunk": policy.replan,
                "device": device_name(),
            }
            write_json(folder / "costs.json", costs)
        return programs if isinstance(programs, Programs) else None

    def pictured(self, condition: Condition) -> bool:
        """Whether the page shows pictures of it: each arm as it is meant, in the worlds of
        training."""
        own = condition.mode == condition.arm.modes[0] and condition.fraction == 1.0
        return own and condition.domain == "source"

    def _film(
        self,
        condition: Condition,
        run: Run,
        contestants: Contestants,
        places: Mapping[str, Places],
        programs: Programs,
    ) -> None:
        folder, name = self.trial_folder(condition), f"seed{run.seed}"
        if (folder / PICTURES).is_file():
            return
        found = []
        for task, place in places.items():
            rows = episodes_of(folder / "0", name, task)
            ends = [cause(e) for e in episodes_from(condition.key, run.seed, 0, task, rows)]
            runner = programs.find(name, task, place).rollout
            gallery = film(
                task,
                place,
                *contestants[name],
                episodes=rows,
                seed=self.study.world_seed,
                runner=runner,
                kinds=ends,
            )
            found.append(gallery)
        write_json(folder / PICTURES, told(found))

    def pictures(self) -> list[tuple[str, Pictures]]:
        """(label, pictures) of every condition that was tried here and has some."""
        return [
            (condition.labelled(self.study), read_json(self.trial_folder(condition) / PICTURES))
            for condition in self.study.conditions
            if self.pictured(condition) and self.known(condition) is None
        ]

    def _facts(self, trained: TrainedRun) -> Facts:
        return Facts(
            parameters=trained.parameters,
            train_seconds=0.0,
            train_flops=0.0,
            manifest_sha256=self.manifest.sha256,
        )

    def episodes(self) -> Iterator[Episode]:
        """All records, condition by condition.

        Raises:
            UserError: a condition has not been tried.
        """
        for condition in self.study.conditions:
            if (other := self.known(condition)) is not None:
                yield from other.episodes[condition.key]
                continue
            for run in self.runs_of(condition):
                for repeat in range(self.study.worlds.repeats):
                    folder = self.trial_folder(condition) / str(repeat)
                    for task in self.study.tasks:
                        rows = episodes_of(folder, f"seed{run.seed}", task)
                        yield from episodes_from(condition.key, run.seed, repeat, task, rows)

    def runs_of(self, condition: Condition) -> list[Run]:
        """The trainings of a condition, by seed."""
        return [Run(condition.arm, condition.data, seed) for seed in self.study.seeds]

    def _spent(self, run: Run) -> dict[str, Any]:
        """What a training here cost."""
        final = read_json(self.run_folder(run) / "final.json")
        return {
            "content": self.content_of(run),
            "statistics": fingerprint(self.statistics_of(run.data).to_json()),
            "parameters": final["parameters"],
            "trained": final["trained_parameters"],
            "steps": final["step"],
            "flops": final["train_flops"],
            "seconds": round(final["seconds"], 1),
            "compile_seconds": round(final["compile_seconds"], 1),
            "skipped_steps": final["skipped_steps"],
            "weights_sha256": final["weights_sha256"],
            "losses": final["losses"],
            "device": final["device"],
            "source": final["source"],
        }

    def times(self) -> dict[str, Any] | None:
        """Of steps measured side by side, here or elsewhere; None where nobody did, of all arms."""
        mine = [read_json(self.folder / TIMES)] if (self.folder / TIMES).is_file() else []
        found = [*mine, *(other.costs["times"] for other in self.also)]
        return next((times for times in found if times and usable(self.study, times)), None)

    def costs(
        self, budgets: Mapping[str, Budget], unmatched: Mapping[Aspect, Sequence[str]]
    ) -> dict[str, Any]:
        """What arms, runs and conditions cost, as it was counted and measured."""
        runs, conditions = {}, {}
        for condition in self.study.conditions:
            mine, other = self.runs_of(condition), self.known(condition)
            if other is not None:
                conditions[condition.key] = other.costs["conditions"][condition.key]
                runs |= {run.name: other.costs["runs"][run.name] for run in mine}
                continue
            conditions[condition.key] = read_json(self.trial_folder(condition) / "costs.json")
            runs |= {run.name: self._spent(run) for run in mine}
        return {
            "budgets": {name: dataclasses.asdict(found) for name, found in budgets.items()},
            "unmatched": {aspect: list(rows) for aspect, rows in unmatched.items()},
            "runs": runs,
            "conditions": conditions,
            "manifest_sha256": self.manifest.sha256,
            "times": self.times(),
            "versions": {"wamjax": source(), **versions()},
        }


def work(place: Place, arms: Sequence[str]) -> None:
    """Train and try the arms of that name, one after the other."""
    study = place.study
    runs = [run for run in study.runs if run.arm.name in arms and not place.elsewhere(run)]
    for number, run in enumerate(runs, 1):
        print(f"[{number}/{len(runs)}] train {run.name}", file=sys.stderr, flush=True)
        place.train(run)
        later = [other for other in runs[number:] if (other.arm, other.data) == (run.arm, run.data)]
        if later:
            continue
        mine = [other for other in runs if (other.arm, other.data) == (run.arm, run.data)]
        asked = [*study.conditions_of(run.arm, run.data)]
        # Checkpoints share what is compiled.
        for mode, domain in itertools.product(run.arm.modes, study.domains):
            programs = None
            for condition in asked:
                if (condition.mode, condition.domain) == (mode, domain):
                    print(f"try {condition.key}", file=sys.stderr, flush=True)
                    programs = place.tried(condition, mine, programs)
