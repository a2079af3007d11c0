"""Success against the number of demonstrations, by objective, at the same number of steps.

wamjax study configs/studies/data_efficiency.py --workdir runs/studies
"""

import dataclasses

from wamjax.cli.study_arms import arms
from wamjax.cli.study_sizes import StudySize, demonstrations
from wamjax.eval.study import Study, Worlds

SHARES = (8, 4, 2, 1)
"""Of all demonstrations: one in so many."""


def get_study(size: StudySize = "tiny") -> Study:
    """Fewer and fewer demonstrations."""
    whole = demonstrations(size)
    return Study(
        name="data_efficiency",
        question="Does video help more where demonstrations are few?",
        arms=arms(size, "direct", "cotrain", "joint"),
        against="direct",
        data=tuple(
            whole
            if share == 1
            else dataclasses.replace(whole, name=f"one_in_{share}", clean=whole.clean // share)
            for share in SHARES
        ),
        worlds=Worlds(manifest="", clean=50, each=20),
    )
