"""A study of two arms that runs in minutes, as a file of configs/studies/ would be."""

import dataclasses

from wamjax.cli.study_sizes import base_run
from wamjax.eval.study import Arm, Data, Study, Worlds
from wamjax.recipes.objectives import Training
from wamjax.recipes.tabletop import tabletop


def arm(training: Training, steps: int = 12) -> Arm:
    """An objective, for a few steps."""
    run = base_run("tiny")
    train = dataclasses.replace(run.train, steps=steps, batch=16)
    config = dataclasses.replace(run, name=training, system=tabletop(training), train=train)
    return Arm(name=training, says=f"the objective {training}", config=config)


def get_study(size: str = "tiny") -> Study:
    """Two arms, two seeds, one task."""
    del size
    return Study(
        name="small",
        question="Does the machine work?",
        arms=(arm("direct"), arm("cotrain")),
        against="direct",
        seeds=(0, 1),
        data=(Data(name="clean", clean=12),),
        tasks=("reach",),
        worlds=Worlds(manifest="", clean=4, each=2, axes=("camera", "light")),
    )
