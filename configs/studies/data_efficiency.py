"""Success against the number of demonstrations, with and without video that shows no actions.

    wamjax study configs/studies/data_efficiency.py --workdir runs/studies

One in 8, 4, 2 and all demonstrations by objective, at the same number of steps. On `video_8` and
`video_4` the objectives that learn video see all demonstrations, and the actions of one in 8 or 4
(about: which ones is said by a hash of their content).
"""

import dataclasses

from wamjax.cli.study_arms import arms
from wamjax.cli.study_sizes import StudySize, demonstrations
from wamjax.eval.study import Data, Study, Worlds

FEWER = (8, 4, 2)
"""Of all demonstrations: one in so many."""
SEEN = (8, 4)
"""Of all demonstrations the actions of one in so many."""


def get_study(size: StudySize = "tiny") -> Study:
    """Fewer and fewer demonstrations."""
    whole = demonstrations(size)
    few = [
        dataclasses.replace(whole, name=f"one_in_{share}", clean=whole.clean // share)
        for share in FEWER
    ]
    video = [
        dataclasses.replace(whole, name=f"video_{share}", demos=whole.name, action_share=1 / share)
        for share in SEEN
    ]
    recorded: tuple[Data, ...] = (*few, whole)
    direct, *learners = arms(size, "direct", "cotrain", "joint")
    return Study(
        name="data_efficiency",
        question="Does video help more where demonstrations are few, and does video without "
        "actions help?",
        arms=(dataclasses.replace(direct, data=tuple(d.name for d in recorded)), *learners),
        against="direct",
        data=(*recorded, *video),
        worlds=Worlds(manifest="", clean=50, each=20),
    )
