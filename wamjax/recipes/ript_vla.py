"""RIPT-VLA (arXiv 2505.17016, Ariostgx/ript-vla): OpenVLA-OFT made stochastic, then rewarded.

    read out of an action's hidden states    mean (OpenVLA-OFT's head), log-scale (a second one)
    policy                                   Laplace, dimension by dimension

    1  supervised   negative log-likelihood of the demonstrations (`flow.laplace_loss`)
    2  rewarded     K = 8 rollouts from each initial state of the demonstrations, reward 1 for
                    success; leave-one-out advantages, groups of equal rewards dropped, PPO with
                    clip 0.1 (`configs/ript_reach.py`); the log-scale's head stays as it is

The log-scale is clipped to [-2, 0.5] (`flow.losses.laplace_law`). When a policy is used, not
trained, its action is the mean.
"""

import dataclasses

from wamjax.recipes.blueprint import Blueprint, Recipe, Size
from wamjax.recipes.openvla_oft import ENCODERS, OPENVLA, OUTPUT_WORDS, SHARED, openvla_oft


def ript_vla(size: Size) -> Blueprint:
    """OpenVLA-OFT's network with two heads where it has one."""
    parent = openvla_oft(size)
    ports = tuple(
        dataclasses.replace(port, heads=2) if port.stream == "action" else port
        for port in parent.model.ports
    )
    return dataclasses.replace(
        parent,
        model=dataclasses.replace(parent.model, ports=ports),
        learning=dataclasses.replace(parent.learning, read="laplace"),
    )


RECIPES = (
    Recipe(
        name="ript_vla",
        kind="VLA + RL",
        coupling="none",
        objective="direct, one pass, Laplace likelihood, then leave-one-out PPO",
        source="arXiv 2505.17016, Ariostgx/ript-vla",
        parts="Llama 2 7B, projectors and both heads",
        published="7.54 B",
        counted=OPENVLA,
        outside=(*ENCODERS, OUTPUT_WORDS),
        beyond=("head_action", "head_action_1", "embed_proprio"),
        deviations=(
            *SHARED,
            "OpenVLA-OFT's form; the one on QueST, which draws sequences of skill words, is not "
            "there.",
            "Rewarded in our own worlds (docs/ript.md): clip 0.2 and 100 iterations by default, "
            "published 0.1 and about 12; initial states are drawn anew, published those of the "
            "demonstrations, without the ones that are solved again and again.",
            "When actions are drawn, the scale is multiplied by `ript.strength`, 0.3 by default, "
            "published by 5.",
        ),
        build=ript_vla,
    ),
)
