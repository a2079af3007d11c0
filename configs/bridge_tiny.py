"""A tiny WAM on real Open X-Embodiment data as TFDS left them on disk (BridgeData V2, WidowX).

    wamjax train --config configs/bridge_tiny.py --config.data.dir=DIR --workdir runs/bridge
    wamjax sample --workdir runs/bridge --out runs/bridge/sample.html

DIR holds dataset_info.json (for example bridge_dataset/1.0.0). Two CPU cores: 2 to 4 minutes. On
the 25 episodes of octo's sample: held-out action error 0.209 (0.241 with the weights of another
start), mean action 0.304, last action 0.262.
"""

from wamjax.core.config import to_flags
from wamjax.data.config import DataConfig
from wamjax.recipes.tabletop import small_data
from wamjax.train.augment import OCTO
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

CONFIG = RunConfig(
    name="bridge_tiny",
    system=small_data(3, 64),
    data=DataConfig(
        dir="bridge_dataset/1.0.0",
        cameras=("image_0", "image_1", "image_2"),
        proprio_key="state",
        image_size=64,
        frame_stride=2,
        future=2,
        chunk=4,
        holdout=0.2,
    ),
    train=TrainConfig(
        steps=600,
        batch=32,
        learning_rate=1e-3,
        weight_decay=0.1,
        save_every=200,
        # Without it, 180 windows are learned by heart: error 0.270.
        augment=OCTO,
    ),
)


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
