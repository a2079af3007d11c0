"""The quick start's system: a small WAM that learns from pixels in minutes on two CPU cores.

Its structure is FastWAM's (arXiv 2603.16666: shared attention between a video trunk and an action
expert), with two differences that the budget asks for. A context encoder of keypoints steered by
the instruction stands beside the latent tokens (from pixels in minutes, the representation
decides), and video heads predict the clean frame rather than the velocity (patches of 768 numbers
do not pass through 96 channels otherwise, arXiv 2511.13720).
"""

import dataclasses

from wamjax.model.couplings import Size, coupled
from wamjax.recipes.config import CodecConfig, ContextConfig, SystemConfig, TextConfig
from wamjax.recipes.objectives import Training


def tabletop(training: Training = "joint", *, keypoints: bool = True) -> SystemConfig:
    """The system for our own worlds: two cameras of 48 x 48, chunks of 8 actions at 10 Hz.

    Args:
        training: the objective.
        keypoints: False gives the plain-token form, with nothing beside the latent tokens.
    """
    return SystemConfig(
        views=2,
        predicted_views=1,
        image_size=48,
        history=1,
        future=2,
        frame_stride=4,
        chunk=8,
        codec=CodecConfig(kind="patch", patch=8),
        text=TextConfig(words=8),
        context=ContextConfig(
            kind="keypoints" if keypoints else "none",
            channels=(24, 24, 32),
            kernels=(8, 3, 3),
            strides=(4, 1, 1),
        ),
        model=coupled(
            "mot", Size(width=96, depth=3, heads=2, head_dim=48, action_width=64), patch=2
        ),
        training=training,
    )


def sharing_levels(system: SystemConfig) -> SystemConfig:
    """The same system with one noise level for both streams, in training and while sampling.

    One draw is one level only under one law, and the sampler walks the video on a grid of its own
    unless its shift is that of the actions, 1. The law is that which the actions have anyway.
    """
    law = system.levels.action
    levels = dataclasses.replace(system.levels, coupling="shared", video=law)
    return dataclasses.replace(system, levels=levels, video_shift=1.0)


def small_data(views: int, image_size: int, *, training: Training = "joint") -> SystemConfig:
    """The same system for small data sets of other cameras and rates, such as the Bridge sample.

    With a few hundred windows the video overfits long before the actions do, hence its low weight.
    """
    return dataclasses.replace(
        tabletop(training),
        views=views,
        predicted_views=1,
        image_size=image_size,
        frame_stride=2,
        future=2,
        chunk=4,
        video_weight=0.05,
    )
