"""Joint or two-stage: seven ways to learn actions with the help of video, on the same windows, with
the same weights and steps.

    wamjax study configs/studies/joint_vs_two_stage.py --workdir runs/studies
    wamjax study configs/studies/joint_vs_two_stage.py --size base --dry-run --topology v5p:2x2x2

Arms: actions alone; video as a loss only; a world model first, frozen, and actions on what it
predicts; video and then actions in one model; both denoised together, at one noise level or at two
(tried in three ways from the same weights); features of the future instead of its pixels.
`tiny` trains on clean demonstrations alone, the others on randomised ones, too.
"""

from wamjax.cli.study_arms import objective_arms
from wamjax.cli.study_sizes import SCALES, StudySize, demonstrations
from wamjax.eval.study import Study


def get_study(size: StudySize = "tiny") -> Study:
    """Joint against two-stage at a size."""
    looks = (False,) if size == "tiny" else (False, True)
    return Study(
        name="joint_vs_two_stage",
        question="Does it help actions to learn video with them, and together or one after the "
        "other?",
        arms=objective_arms(size),
        against="direct",
        data=tuple(demonstrations(size, randomised=randomised) for randomised in looks),
        worlds=SCALES[size].worlds,
    )
