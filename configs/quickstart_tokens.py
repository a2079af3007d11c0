"""The quick start in plain-token form: nothing stands beside the latent tokens.

    wamjax train --config configs/quickstart_tokens.py --config.data.dir=DIR --workdir runs/tokens

Kept so that the difference stays visible: from pixels in minutes, the representation decides.
"""

from wamjax.cli.quickstart_config import with_system
from wamjax.core.config import to_flags
from wamjax.recipes.tabletop import tabletop

CONFIG = with_system("quickstart_tokens", tabletop("joint", keypoints=False))


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
