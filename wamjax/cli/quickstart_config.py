"""The quick start's run, as values; `configs/quickstart*.py` show it to `wamjax train`."""

import dataclasses

from wamjax.data.config import DataConfig
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.tabletop import tabletop
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

CONFIG = RunConfig(
    name="quickstart",
    system=tabletop("joint"),
    data=DataConfig(
        dir="tabletop/1.0.0",
        cameras=("image", "wrist_image"),
        image_size=48,
        future=2,
        frame_stride=4,
        chunk=8,
        holdout=0.05,
    ),
    train=TrainConfig(
        steps=1500,
        batch=64,
        save_every=500,
        learning_rate=2e-3,
        weight_decay=0.01,
        ema=0.995,
    ),
)


def with_system(name: str, system: SystemConfig) -> RunConfig:
    """The same run with another system."""
    return dataclasses.replace(CONFIG, name=name, system=system)
