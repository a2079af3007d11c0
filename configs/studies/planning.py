"""Planning without reward: of N chunks the one whose predicted future the model itself values most.

    wamjax study configs/studies/planning.py --workdir runs/studies

The tiny form of Cosmos Policy (arXiv 2601.16163) predicts actions, the next frames and the value of
what comes of them; 1, 2, 4 and 8 chunks are drawn and the one of the highest value is executed:
success against N, and against milliseconds a chunk.
"""

import dataclasses

from wamjax.cli.recipe_run import recipe_run
from wamjax.cli.study_sizes import StudySize, demonstrations
from wamjax.eval.study import Arm, Mode, Study, Worlds

STEPS: dict[StudySize, int] = {"tiny": 1_200, "small": 20_000, "base": 100_000}
DRAWN = (2, 4, 8)


def get_study(size: StudySize = "tiny") -> Study:
    """More and more candidates."""
    run = recipe_run("cosmos_policy")
    train = dataclasses.replace(run.train, steps=STEPS[size], save_every=STEPS[size])
    best = tuple(Mode(name=f"best_of_{count}", candidates=count) for count in DRAWN)
    arm = Arm(
        name="cosmos_policy_planning",
        says="actions, frames and values in one model",
        config=dataclasses.replace(run, name="cosmos_policy_planning", train=train),
        modes=(Mode(), *best),
    )
    return Study(
        name="planning",
        question="What does the best of N chunks by the model's own value gain, and what does it "
        "cost?",
        arms=(arm,),
        against=arm.name,
        data=(demonstrations(size),),
        worlds=Worlds(manifest="", clean=100, each=0),
    )
