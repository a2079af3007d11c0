"""Seven axes at five severities: the objectives on matched data, and what confounds comparisons of
published systems: whether the policy is told the robot's state, and what its actions mean.

    wamjax study configs/studies/robustness.py --workdir runs/studies

The objectives are those of joint_vs_two_stage, in worlds that it has not seen; in its workdir they
are not trained anew. State and action frame are crossed, for `direct` at `tiny` and for `joint`,
too, at the others. Published systems at their tiny sizes: configs/studies/recipes.py.
"""

import dataclasses

from wamjax.cli.study_arms import arms
from wamjax.cli.study_sizes import StudySize, demonstrations
from wamjax.eval.study import Arm, Study, Worlds
from wamjax.recipes.config import SystemConfig

NAMES = ("direct", "cotrain", "two_stage", "inverse", "joint_shared", "joint", "latent")


def stateless(arm: Arm) -> Arm:
    """The same without the robot's state."""
    run = arm.config
    assert isinstance(run.system, SystemConfig)
    name = f"{arm.name}_without_state"
    system = dataclasses.replace(run.system, without="proprio")
    return dataclasses.replace(
        arm,
        name=name,
        says=f"{arm.says}, from pictures and words only",
        config=dataclasses.replace(run, name=name, system=system),
    )


def get_study(size: StudySize = "tiny") -> Study:
    """Objectives and confounds under every axis."""
    clean = demonstrations(size)
    absolute = dataclasses.replace(clean, name="absolute", action="ee_absolute")
    crossed = ("direct",) if size == "tiny" else ("direct", "joint")
    compared = [
        arm if arm.name in crossed else dataclasses.replace(arm, data=(clean.name,))
        for arm in arms(size, *NAMES)
    ]
    blind = [stateless(arm) for arm in arms(size, *crossed)]
    return Study(
        name="robustness",
        question="Which objective holds under which perturbation, and how much is due to the "
        "robot's state and the action frame?",
        arms=(*compared, *blind),
        against="direct",
        data=(clean, absolute),
        worlds=Worlds(manifest="quick" if size == "tiny" else "standard"),
        world_seed=1,
    )
