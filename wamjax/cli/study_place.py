"""Where everything of a study lies, and what has been recorded there.

    WORKDIR/demos/DATA_CLEAN_RANDOMISED/   demonstrations, by how many
    WORKDIR/runs/ARM/DATA/seedN/           as of `wamjax train`
    WORKDIR/STUDY/manifest.json
    WORKDIR/STUDY/trials/CONDITION/N/      as of `wamjax eval`, a policy for each seed
    WORKDIR/STUDY/trials/CONDITION/costs.json, pictures.json

Studies of one workdir share demonstrations and trainings; a training of another config is refused.
"""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wamjax.cli.demos import NAME, VERSION
from wamjax.core.config import fingerprint, to_json
from wamjax.core.files import read_json
from wamjax.core.runtime import source, versions
from wamjax.data import Statistics, read_episodes, statistics_for
from wamjax.data.writing.rlds import dataset_directory
from wamjax.eval.evaluate import episodes_of
from wamjax.eval.study.elsewhere import Elsewhere
from wamjax.eval.study.matching import Budget
from wamjax.eval.study.pictures import Pictures
from wamjax.eval.study.records import Episode, episodes_from
from wamjax.eval.study.study import Aspect, Condition, Data, Run, Study
from wamjax.eval.study.times import TIMES, usable
from wamjax.sim.axes import AXIS_NAMES
from wamjax.sim.manifest import Manifest, build_manifest, named_manifest
from wamjax.sim.stepping import Physics
from wamjax.train.run_config import RunConfig

PICTURES, CHUNKS = "pictures.json", "costs.json"
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

    def statistics_of(self, data: Data) -> Statistics:
        """Of demonstrations that are there."""
        own = dataclasses.replace(
            self.study.arms[0].config.data,
            dir=str(self.data_folder(data)),
            action_share=data.action_share,
        )
        return statistics_for(own, read_episodes(own))

    def pictured(self, condition: Condition) -> bool:
        """Whether the page shows pictures of it: each arm as it is meant, in the worlds of
        training."""
        own = condition.mode == condition.arm.modes[0] and condition.fraction == 1.0
        return own and condition.domain == "source"

    def pictures(self) -> list[tuple[str, Pictures]]:
        """(label, pictures) of every condition that was tried here and has some."""
        return [
            (condition.labelled(self.study), read_json(self.trial_folder(condition) / PICTURES))
            for condition in self.study.conditions
            if self.pictured(condition) and self.known(condition) is None
        ]

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
            conditions[condition.key] = read_json(self.trial_folder(condition) / CHUNKS)
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
