"""The quick start with the objective `inverse`: the video never sees the actions, which see
it; one model, trained together, samples the video first and then the actions that lead to it.

wamjax train --config configs/quickstart_inverse.py --config.data.dir=DIR --workdir runs/inverse
"""

from wamjax.cli.quickstart_config import with_system
from wamjax.core.config import to_flags
from wamjax.recipes.tabletop import tabletop

CONFIG = with_system("quickstart_inverse", tabletop("inverse"))


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
