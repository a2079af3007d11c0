"""Published systems at their tiny sizes, on the same demonstrations, under every axis.

    wamjax study configs/studies/recipes.py --workdir runs/studies
    wamjax study configs/studies/recipes.py --workdir runs/studies --arms pi0,fast_wam

Each sees the windows and has the weights that its structure asks for (62 thousand to 710 thousand),
so windows and parameters differ, and the page says so; steps, batch and demonstrations are the
same. It says how tiny forms learn from few demonstrations, not which published system is better.
"""

import dataclasses

from wamjax.cli.recipe_run import recipe_run
from wamjax.cli.study_sizes import StudySize, demonstrations
from wamjax.eval.study import Arm, Study, Worlds
from wamjax.recipes.registry import RECIPES

STEPS: dict[StudySize, int] = {"tiny": 600, "small": 20_000, "base": 100_000}


def get_study(size: StudySize = "tiny") -> Study:
    """All recipes in their usual form; a larger size trains them longer and on more."""
    steps = STEPS[size]
    found = []
    for name in RECIPES:
        run = recipe_run(name)
        train = dataclasses.replace(run.train, steps=steps, save_every=steps)
        found.append(
            Arm(
                name=name,
                says="its usual form, see docs/recipes.md",
                config=dataclasses.replace(run, train=train),
            )
        )
    return Study(
        name="recipes",
        question="How do published structures at tiny size hold under perturbations, on the same "
        "demonstrations?",
        arms=tuple(found),
        against="pi0",
        data=(demonstrations(size),),
        worlds=Worlds(manifest="quick" if size == "tiny" else "standard"),
        differs=("windows", "parameters", "budget"),
    )
