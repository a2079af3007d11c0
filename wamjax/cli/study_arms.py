"""Arms that several studies compare: one system and size, another way to learn from video each."""

import dataclasses

from wamjax.cli.study_sizes import StudySize, base_run
from wamjax.eval.study import Arm, Mode
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.objectives import Training
from wamjax.recipes.tabletop import sharing_levels

JOINT_MODES = (
    Mode(),
    Mode(name="action_only", program="action_only"),
    Mode(name="inverse", program="video_then_action"),
)
"""Three ways to sample what was trained with levels of its own for each stream (UWM)."""
FEW, HALF = Mode(name="1_step", steps=1), Mode(name="2_steps", steps=2)
"""Fewer solver steps than the system's own five."""


def objective(
    size: StudySize,
    name: str,
    training: Training,
    says: str,
    *,
    shared: bool = False,
    modes: tuple[Mode, ...] = (Mode(),),
) -> Arm:
    """An arm that differs from the others in its objective, or shares one noise level."""
    run = base_run(size)
    assert isinstance(run.system, SystemConfig)
    system = dataclasses.replace(run.system, training=training)
    if shared:
        system = sharing_levels(system)
    config = dataclasses.replace(run, name=name, system=system)
    return Arm(name=name, says=says, config=config, modes=modes)


def objective_arms(size: StudySize) -> tuple[Arm, ...]:
    """Seven objectives, `direct` first."""
    return (
        objective(size, "direct", "direct", "actions alone, no video"),
        objective(
            size,
            "cotrain",
            "cotrain",
            "video as a loss beside the actions, dropped at test time",
        ),
        objective(
            size,
            "two_stage",
            "two_stage",
            "a world model first, then frozen, and actions on the future that it predicts",
        ),
        objective(
            size,
            "inverse",
            "inverse",
            "one model: the video first, and actions given it (inverse dynamics)",
        ),
        objective(
            size,
            "joint_shared",
            "joint",
            "video and actions denoised together at one noise level",
            shared=True,
        ),
        objective(
            size,
            "joint",
            "joint",
            "video and actions denoised together, each at a noise level of its own",
            modes=JOINT_MODES,
        ),
        objective(
            size,
            "latent",
            "latent",
            "features of the future as a loss beside the actions, dropped at test time",
        ),
    )


def arms(size: StudySize, *names: str) -> tuple[Arm, ...]:
    """Some of `objective_arms`, in their first mode."""
    table = {arm.name: arm for arm in objective_arms(size)}
    return tuple(dataclasses.replace(table[name], modes=(Mode(),)) for name in names)
