"""What is learned: one row per objective, over the same transformer.

    direct      p(a | h)                       no video tokens at all
    cotrain     p(a | h), p(h' | h)            video is a loss only; actions never see it
    joint       p(h', a | h)                   both are denoised in one sequence that sees itself
    inverse     p(h' | h), p(a | h, h')        the video never sees actions, which see it at a level
                                               of its own; sampled first, it is there at level 0
    latent      p(a | h), f(h') from h         actions as in direct; in training query tokens, which
                                               no action sees, predict features of the future
    world       p(h' | h)                      first stage of two_stage
    behaviour   p(a | h, h'), h' ~ world       second stage: the world model is frozen, and the
                                               actions see the future that it predicts
    codec       decode(encode(h)) = h          a trainable codec, before anything is built on it

A stage names an objective; `two_stage` is the stages world, behaviour. Sources: UWM 2504.02792
(joint, independent levels), FastWAM (cotrain), mimic-video and UniPi 2302.00111 (two stages),
VLA-JEPA 2602.10098 (latent). FastWAM's idm and LingBot-VA 2601.21998 are inverse, too: there the
actions are shown a second, clean copy of the video, here the one copy at whatever level it has, so
that a pass costs what one of joint does.
"""

import dataclasses
from typing import Literal

from wamjax.flow.sampler import Program
from wamjax.model.visibility import Visibility

Objective = Literal[
    "direct", "cotrain", "joint", "inverse", "latent", "world", "behaviour", "codec"
]
Training = Literal["direct", "cotrain", "joint", "inverse", "latent", "two_stage"]

SCENE = ("text/clean", "proprio/clean", "video/clean")
CONTEXT = (*SCENE, "feature/clean")


def sees(queries: tuple[str, ...], keys: tuple[str, ...]) -> Visibility:
    """Rows that let each query kind see all tokens of the key kinds and of its own."""
    pairs = [(query, key) for query in queries for key in (*keys, query)]
    return tuple((query, key, "all") for query, key in dict.fromkeys(pairs))


CONTEXT_SEES = sees(CONTEXT, CONTEXT)
# Two stages: the features belong to the policy, so the world model must not see them.
APART = sees(SCENE, SCENE) + sees(("feature/clean",), CONTEXT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """One way to train and to sample.

    Attributes:
        targets: streams that are denoised.
        queries: streams of which query tokens predict the future while training.
        table: the visibility of all tokens.
        losses: streams whose velocity, or prediction, is scored.
        imagined: the video that actions see while training is sampled from the frozen world model.
        program: the sampler program that yields actions.
        action_targets: the streams needed to sample actions alone.
    """

    targets: tuple[str, ...]
    table: Visibility
    losses: tuple[str, ...]
    imagined: bool
    program: Program
    action_targets: tuple[str, ...]
    queries: tuple[str, ...] = ()

    @property
    def trained(self) -> tuple[str, ...]:
        """The streams that are predicted in training."""
        return (*self.queries, *self.targets)

    def sees(self, query: str, key: str) -> bool:
        """Whether noisy tokens of one stream see those of another."""
        return any(row[:2] == (f"{query}/noisy", f"{key}/noisy") for row in self.table)


MUTUAL: Visibility = (
    ("action/noisy", "video/noisy", "all"),
    ("video/noisy", "action/noisy", "all"),
)

PLANS: dict[Objective, Plan] = {
    "direct": Plan(
        targets=("action",),
        table=CONTEXT_SEES + sees(("action/noisy",), CONTEXT),
        losses=("action",),
        imagined=False,
        program="action_only",
        action_targets=("action",),
    ),
    "cotrain": Plan(
        targets=("video", "action"),
        table=CONTEXT_SEES + sees(("video/noisy", "action/noisy"), CONTEXT),
        losses=("video", "action"),
        imagined=False,
        program="joint",
        action_targets=("action",),
    ),
    "joint": Plan(
        targets=("video", "action"),
        table=CONTEXT_SEES + sees(("video/noisy", "action/noisy"), CONTEXT) + MUTUAL,
        losses=("video", "action"),
        imagined=False,
        program="joint",
        action_targets=("video", "action"),
    ),
    "inverse": Plan(
        targets=("video", "action"),
        table=CONTEXT_SEES
        + sees(("video/noisy",), CONTEXT)
        + sees(("action/noisy",), (*CONTEXT, "video/noisy")),
        losses=("video", "action"),
        imagined=False,
        program="video_then_action",
        action_targets=("video", "action"),
    ),
    "latent": Plan(
        targets=("action",),
        queries=("feature",),
        table=CONTEXT_SEES + sees(("feature/query", "action/noisy"), CONTEXT),
        losses=("feature", "action"),
        imagined=False,
        program="action_only",
        action_targets=("action",),
    ),
    "world": Plan(
        targets=("video",),
        table=APART + sees(("video/noisy",), SCENE),
        losses=("video",),
        imagined=False,
        program="video_only",
        action_targets=("video",),
    ),
    "behaviour": Plan(
        targets=("video", "action"),
        table=APART
        + sees(("video/noisy",), SCENE)
        + sees(("action/noisy",), (*CONTEXT, "video/noisy")),
        losses=("action",),
        imagined=True,
        program="video_then_action",
        action_targets=("video", "action"),
    ),
}

# All tokens that any objective has; the weights are those of this sequence.
WHOLE = PLANS["joint"].table + PLANS["latent"].table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A share of the training steps.

    Attributes:
        name, objective: what it is called and what is learned.
        fraction: of all steps.
        train: regular expressions over the paths of the weights that learn.
    """

    name: str
    objective: str
    fraction: float
    train: tuple[str, ...]


# A trained codec stays as it is: latents that move under the flow would be a moving target. So does
# a pretrained encoder of language.
ALL_WEIGHTS = ("(?!(codec|language)/).*",)
WORLD_WEIGHTS = ("text/.*", "model/(?!.*(action|feature)).*")
BEHAVIOUR_WEIGHTS = ("context/.*", "intent/.*", "model/.*(action|feature).*")
CODEC = Stage(name="codec", objective="codec", fraction=0.2, train=("codec/.*",))

STAGES: dict[Training, tuple[Stage, ...]] = {
    "direct": (Stage(name="direct", objective="direct", fraction=1.0, train=ALL_WEIGHTS),),
    "cotrain": (Stage(name="cotrain", objective="cotrain", fraction=1.0, train=ALL_WEIGHTS),),
    "joint": (Stage(name="joint", objective="joint", fraction=1.0, train=ALL_WEIGHTS),),
    "inverse": (Stage(name="inverse", objective="inverse", fraction=1.0, train=ALL_WEIGHTS),),
    "latent": (Stage(name="latent", objective="latent", fraction=1.0, train=ALL_WEIGHTS),),
    "two_stage": (
        Stage(name="world", objective="world", fraction=0.5, train=WORLD_WEIGHTS),
        Stage(name="behaviour", objective="behaviour", fraction=0.5, train=BEHAVIOUR_WEIGHTS),
    ),
}


def stages(training: Training, *, codec: bool) -> tuple[Stage, ...]:
    """The usual stages of an objective.

    Args:
        codec: the codec has weights, and is trained first.
    """
    if not codec:
        return STAGES[training]
    rest = 1.0 - CODEC.fraction
    return (
        CODEC,
        *(dataclasses.replace(stage, fraction=stage.fraction * rest) for stage in STAGES[training]),
    )


# The objective whose plan samples actions after all stages.
FINAL: dict[Training, Objective] = {
    "direct": "direct",
    "cotrain": "cotrain",
    "joint": "joint",
    "inverse": "inverse",
    "latent": "latent",
    "two_stage": "behaviour",
}
