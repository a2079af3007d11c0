"""From the worlds of training to the stand-in for reality: what each arm loses, and whether the
order of the policies holds.

    wamjax study configs/studies/sim_to_real.py --workdir runs/studies

Source: our simulator and ray caster. Target: C MuJoCo with other physics and OpenGL pictures
(docs/target.md). Arms: three objectives on clean demonstrations, two of them on randomised ones.
"""

import dataclasses

from wamjax.cli.study_arms import arms
from wamjax.cli.study_sizes import StudySize, demonstrations
from wamjax.eval.study import Study, Worlds
from wamjax.sim.target.play import HONOURED


def get_study(size: StudySize = "tiny") -> Study:
    """Both domains, the axes that both have."""
    direct, two_stage, joint = arms(size, "direct", "two_stage", "joint")
    clean, randomised = (demonstrations(size, randomised=look) for look in (False, True))
    return Study(
        name="sim_to_real",
        question="What is lost from the simulator of training to another one, by objective and by "
        "randomised demonstrations?",
        arms=(direct, dataclasses.replace(two_stage, data=(clean.name,)), joint),
        against="direct",
        data=(clean, randomised),
        worlds=Worlds(manifest="", clean=25, each=10, axes=HONOURED),
        domains=("source", "target"),
    )
