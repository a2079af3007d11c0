"""What a study runs: demonstrations, one training for each run, one evaluation for each condition.

Every part goes on where it was: a training from its last checkpoint, an evaluation behind the last
(seed, task) that is whole. What was run elsewhere (`Place.also`) is neither trained nor tried here.
"""

import itertools
import sys
from collections.abc import Sequence
from typing import Any

from wamjax.cli.demos import Demos, write_demos
from wamjax.cli.ript import run_ript
from wamjax.cli.study_place import Place
from wamjax.cli.study_trials import tried
from wamjax.cli.train import run_training
from wamjax.core.config import to_json
from wamjax.core.errors import Unfinished
from wamjax.core.files import read_json
from wamjax.eval.study.study import Data, Run
from wamjax.train.workdir import refuse_other_runs


def demonstrate(place: Place, data: Data) -> None:
    """Write demonstrations and their statistics, unless they are there."""
    config = place.study.arms[0].config
    if not place.data_folder(data).exists():
        made = Demos(
            tasks=data.tasks or place.study.tasks,
            clean=data.clean,
            randomised=data.randomised,
            image_size=config.data.image_size,
            physics=place.physics,
            action=data.action,  # pyright: ignore[reportArgumentType]
        )
        write_demos(place.demos_folder(data), made)
    place.statistics_of(data)


def train(place: Place, run: Run) -> dict[str, Any]:
    """Train a run to its end, and before it the one that it goes on from; its final.json.

    Raises:
        UserError: its workdir is another config's.
        Unfinished: SIGTERM ended it, and it has saved.
    """
    folder, config = place.run_folder(run), place.config_of(run)
    if (folder / "final.json").is_file():
        refuse_other_runs(folder, to_json(config))
        return read_json(folder / "final.json")
    if (start := place.study.start(run)) is not None:
        train(place, start)
    learn = run_training if start is None else run_ript
    found = learn(config, folder)
    if not found["finished"]:
        raise Unfinished
    return found


def work(place: Place, arms: Sequence[str]) -> None:
    """Train and try the arms of that name, one after the other."""
    study = place.study
    runs = [run for run in study.runs if run.arm.name in arms and not place.elsewhere(run)]
    for number, run in enumerate(runs, 1):
        print(f"[{number}/{len(runs)}] train {run.name}", file=sys.stderr, flush=True)
        train(place, run)
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
                    programs = tried(place, condition, mine, programs)
