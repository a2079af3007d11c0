"""The quick start with the objective `cotrain`: the video is a loss only; sampling needs none.

wamjax train --config configs/quickstart_cotrain.py --config.data.dir=DIR --workdir runs/cotrain
"""

from wamjax.cli.quickstart_config import with_system
from wamjax.core.config import to_flags
from wamjax.recipes.tabletop import tabletop

CONFIG = with_system("quickstart_cotrain", tabletop("cotrain"))


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
