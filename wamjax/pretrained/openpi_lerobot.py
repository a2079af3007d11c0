"""pi0 and pi0.5 as LeRobot keeps them: names of `model.safetensors`, and its `config.json`.

    huggingface/lerobot, version 0.6.2 (7427f31): src/lerobot/policies/{pi_gemma.py,pi0,pi05},
    src/lerobot/configs/policies.py

Names are those of openpi's PyTorch export with "model." before. That has the words' table once,
by the name of the head that was tied to it. So have LeRobot's base models, and LeRobot fills the
table from it. Its newer versions tie nothing: what they trained has both, and the table is what is
read. Heads predict no words here.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

from wamjax.pretrained import openpi_torch
from wamjax.pretrained.family import Beside
from wamjax.pretrained.moves import Shapes
from wamjax.pretrained.openpi_sizes import Sizes, Version
from wamjax.pretrained.table import Idle, Table

PREFIX = "model."
HEAD = f"{PREFIX}{openpi_torch.HEAD}"
WORDS = f"{PREFIX}{openpi_torch.EXPERTS['context']}embed_tokens.weight"
IDLE = f"{PREFIX}{openpi_torch.WHOLE}gemma_expert.lm_head.weight"

# openpi, src/openpi/models/model.py: the pictures it always expects, in its order.
CAMERAS = ("base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb")
NORMALISED: Mapping[Version, str] = {"pi0": "MEAN_STD", "pi05": "QUANTILES"}
WORDS_AT_MOST: Mapping[Version, int] = {"pi0": 48, "pi05": 200}
UNKNOWN = (
    "weights tell no statistics (policy_preprocessor.json, policy_postprocessor.json) and no "
    "tokenizer; config.json has the chunk, cameras and widths of openpi's base models: change them "
    "for another policy"
)


def table(sizes: Sizes, version: Version, *, tied: bool = True) -> Table:
    """Their names in the tree of `wamjax.pretrained.openpi.config`.

    Args:
        tied: the words' table is there once, by the name of its head; else by its own, and the head
            is left out.
    """
    made = openpi_torch.table(sizes, version)
    words = HEAD if tied else WORDS
    rules = (dataclasses.replace(rule, theirs=f"{PREFIX}{rule.theirs}") for rule in made.rules)
    return dataclasses.replace(
        made,
        rules=tuple(
            dataclasses.replace(rule, theirs=words) if rule.theirs == HEAD else rule
            for rule in rules
        ),
        ignored=() if tied else (HEAD.replace(".", r"\."),),
        blank=tuple(f"{PREFIX}{name}" for name in made.blank),
        # LeRobot asks for every name of its modules.
        idle=(Idle(IDLE, (sizes.vocabulary, sizes.action_width), like=words),),
    )


def config(sizes: Sizes, version: Version, leaves: Shapes) -> dict[str, Any]:
    """What LeRobot's PI0Config or PI05Config reads; it has defaults for all that is not here.

    Args:
        leaves: our weights by path; the words' dtype is the one to compute in.
    """
    words = str(leaves["embed_word/table"].dtype)
    side = sizes.patch * math.isqrt(sizes.patches)
    pictures = {
        f"observation.images.{name}": {"type": "VISUAL", "shape": [3, side, side]}
        for name in CAMERAS
    }
    width = [sizes.action]
    normalised = NORMALISED[version]
    return {
        "type": version,
        "n_obs_steps": 1,
        "input_features": {**pictures, "observation.state": {"type": "STATE", "shape": width}},
        "output_features": {"action": {"type": "ACTION", "shape": width}},
        "normalization_mapping": {"VISUAL": "IDENTITY", "STATE": normalised, "ACTION": normalised},
        "paligemma_variant": "gemma_2b",
        "action_expert_variant": "gemma_300m",
        "dtype": "bfloat16" if words == "bfloat16" else "float32",
        "chunk_size": 50,
        "n_action_steps": 50,
        "max_state_dim": sizes.action,
        "max_action_dim": sizes.action,
        "num_inference_steps": 10,
        "min_period": 4e-3,
        "max_period": 4.0,
        "image_resolution": [side, side],
        "empty_cameras": 0,
        "tokenizer_max_length": WORDS_AT_MOST[version],
    }


def beside(sizes: Sizes, version: Version) -> Beside:
    """What LeRobot wants beside the weights."""
    return Beside(functools.partial(config, sizes, version), UNKNOWN)
