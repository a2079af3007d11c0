"""RL after imitation: what rewarded rollouts add to an arm of joint_vs_two_stage.

    wamjax study configs/studies/rl.py --workdir runs/studies

Every run of the arm is rewarded in worlds of `reach` and `push` (leave-one-out, RIPT-VLA, arXiv
2505.17016; see docs/ript.md) with nothing but "solved or not", and tried after a half and the whole
of it. The imitation is that of joint_vs_two_stage and is not repeated where it has been run.
"""

import dataclasses

from wamjax.cli.study_arms import arms
from wamjax.cli.study_sizes import StudySize, demonstrations
from wamjax.eval.study import Arm, Study, Worlds
from wamjax.train.ript_config import RiptConfig

BEST = "joint"
"""Whose trainings go on."""
TASKS = ("reach", "push")
ITERATIONS: dict[StudySize, int] = {"tiny": 60, "small": 200, "base": 400}


def get_study(size: StudySize = "tiny") -> Study:
    """An arm before and after RL."""
    (before,) = arms(size, BEST)
    ript = RiptConfig(tasks=TASKS, iterations=ITERATIONS[size], evaluate_every=ITERATIONS[size])
    after = Arm(
        name=f"{BEST}_rl",
        says="the same weights, rewarded in rollouts",
        config=dataclasses.replace(before.config, ript=ript),
        after=before.name,
    )
    data = dataclasses.replace(demonstrations(size), tasks=("reach", "push", "lift", "stack"))
    return Study(
        name="rl",
        question="What do rewarded rollouts add to imitation, and does it hold under the seven "
        "axes?",
        arms=(before, after),
        against=before.name,
        data=(data,),
        tasks=TASKS,
        worlds=Worlds(manifest="", clean=100, each=20),
        differs=("budget",),
    )
