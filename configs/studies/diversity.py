"""In how many ways a policy solves a task: eight rollouts of every world, by objective, by solver
steps and by the temperature of the noise.

    wamjax study configs/studies/diversity.py --workdir runs/studies

A claim of 90 to 173 % more diversity by joint training is the yardstick.
"""

import dataclasses

from wamjax.cli.study_arms import FEW, arms
from wamjax.cli.study_sizes import StudySize, demonstrations
from wamjax.eval.study import Mode, Study, Worlds

MODES = (
    Mode(),
    FEW,
    Mode(name="10_steps", steps=10),
    Mode(name="cold", temperature=0.5),
    Mode(name="warm", temperature=1.5),
)


def get_study(size: StudySize = "tiny") -> Study:
    """Entropy of the ways taken."""
    return Study(
        name="diversity",
        question="How diverse are the solutions, by objective and by sampler?",
        arms=tuple(
            dataclasses.replace(arm, modes=MODES)
            for arm in arms(size, "direct", "cotrain", "two_stage", "joint")
        ),
        against="direct",
        data=(demonstrations(size),),
        worlds=Worlds(manifest="", clean=25, each=0, repeats=8),
    )
