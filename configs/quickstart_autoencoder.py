"""The quick start on the latents of a small causal autoencoder, which is trained first.

wamjax train --config configs/quickstart_autoencoder.py --config.data.dir=DIR --workdir runs/ae
"""

import dataclasses

from wamjax.cli.quickstart_config import with_system
from wamjax.core.config import to_flags
from wamjax.recipes.config import CodecConfig
from wamjax.recipes.tabletop import tabletop

JOINT = tabletop("joint")
SYSTEM = dataclasses.replace(
    JOINT,
    codec=CodecConfig(kind="autoencoder", channels=16, width=32),
    model=dataclasses.replace(JOINT.model, patch=1),
    video_prediction="velocity",
    video_target="frame",
    video_scale=1.0,
)
CONFIG = with_system("quickstart_autoencoder", SYSTEM)


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
