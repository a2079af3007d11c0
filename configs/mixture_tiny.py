"""One tiny WAM on several robots at once: cameras by role, numbers by meaning, one common rate.

    wamjax train --config configs/mixture_tiny.py --workdir runs/mixture \\
        --config.data.mixture=NAME --config.data.root=DIR
    wamjax sample --workdir runs/mixture --data-set ONE_OF_ITS_DATA_SETS

NAME is a mixture of data/mixtures.toml, DIR holds its data sets. Four camera roles, 5 steps a
second, up to 40 different numbers in an action; data sets without actions train the video alone.
"""

import dataclasses

from wamjax.core.config import to_flags
from wamjax.data.config import DataConfig
from wamjax.recipes.tabletop import small_data
from wamjax.train.augment import OCTO
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

WIDTH = 40

CONFIG = RunConfig(
    name="mixture_tiny",
    system=dataclasses.replace(
        small_data(4, 48), action_dim=WIDTH, proprio_dim=WIDTH, frame_stride=1
    ),
    data=DataConfig(
        mixture="oxe_magic_soup_plus",
        cameras=("primary", "secondary", "wrist", "head"),
        rate_hz=5.0,
        image_size=48,
        frame_stride=1,
        future=2,
        chunk=4,
        action_width=WIDTH,
        proprio_width=WIDTH,
    ),
    train=TrainConfig(
        steps=600,
        batch=32,
        learning_rate=1e-3,
        weight_decay=0.1,
        save_every=200,
        augment=OCTO,
    ),
)


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
