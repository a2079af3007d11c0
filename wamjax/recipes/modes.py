"""What one set of weights can be sampled as: the programs of flow.sampler that an objective allows.

    joint               both streams were trained, and see each other, or neither sees the other
    action_only         actions were trained beside a video at pure noise, or without any
    video_then_action   actions see a video, and were trained beside a clean one

Levels that are drawn independently have trained every pair of levels (UWM, arXiv 2504.02792);
shared ones only the diagonal, where video and actions walk side by side. Actions that are trained
on the imagination of a frozen world model have seen nothing else.
"""

from wamjax.flow.levels import Coupling
from wamjax.flow.sampler import Program
from wamjax.recipes.objectives import FINAL, PLANS, Training


def refusal(training: Training, program: Program, coupling: Coupling, *, jump: bool) -> str:
    """Why weights of an objective cannot be sampled by a program; empty if they can.

    Args:
        coupling: of the noise levels while training.
        jump: actions are sampled in jumps, while the video is held.

    The program of an objective's own is asked, too: inverse cannot share its levels.
    """
    plan = PLANS[FINAL[training]]
    both = {"video", "action"} <= {*plan.targets}
    looks, shown = plan.sees("action", "video"), plan.sees("video", "action")
    # Program -> (what must hold, what is wrong where it does not)
    conditions: dict[Program, tuple[tuple[bool, str], ...]] = {
        "joint": (
            (both, "denoises no video"),
            (looks == shown, "never shows its video the actions, which see it"),
            (not jump, "holds its video while actions jump"),
        ),
        "action_only": (
            (not plan.imagined, "has trained actions on an imagined video alone"),
            (not looks or coupling == "independent", "has trained shared noise levels alone"),
        ),
        "video_then_action": (
            (both, "denoises no video"),
            (looks, "never shows its actions the video"),
            (plan.imagined or coupling == "independent", "has trained shared noise levels alone"),
        ),
        "video_only": ((False, "is a policy"),),
    }
    wrong = [reason for holds, reason in conditions[program] if not holds]
    return f"{training} cannot be sampled as {program}: it {wrong[0]}" if wrong else ""
