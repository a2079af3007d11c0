"""The quick start with the objective `latent`: while training, queries predict features of the
future instead of its pixels; sampling is that of `direct`.

wamjax train --config configs/quickstart_latent.py --config.data.dir=DIR --workdir runs/latent
"""

from wamjax.cli.quickstart_config import with_system
from wamjax.core.config import to_flags
from wamjax.recipes.tabletop import tabletop

CONFIG = with_system("quickstart_latent", tabletop("latent"))


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
