"""What success costs: the arms of joint_vs_two_stage after a quarter, a half and all of their
training, and with fewer solver steps.

    wamjax study configs/studies/cost.py --workdir runs/studies

In the workdir of joint_vs_two_stage nothing is trained anew. Training FLOPs, seconds and memory
stand against success, and milliseconds a chunk, too.
"""

import dataclasses

from wamjax.cli.study_arms import FEW, HALF, objective_arms
from wamjax.cli.study_sizes import StudySize, demonstrations
from wamjax.eval.study import Study, Worlds


def get_study(size: StudySize = "tiny") -> Study:
    """Success against what was spent on it."""
    return Study(
        name="cost",
        question="What does a solved task cost in training and per chunk, by objective, length of "
        "training and solver steps?",
        arms=tuple(
            dataclasses.replace(arm, modes=(*arm.modes, HALF, FEW)) for arm in objective_arms(size)
        ),
        against="direct",
        data=(demonstrations(size),),
        worlds=Worlds(manifest="", clean=50, each=0),
        checkpoints=(0.25, 0.5, 1.0),
    )
