"""The quick start with the objective `direct`: p(a | h): no video tokens at all.

wamjax train --config configs/quickstart_direct.py --config.data.dir=DIR --workdir runs/direct
"""

from wamjax.cli.quickstart_config import with_system
from wamjax.core.config import to_flags
from wamjax.recipes.tabletop import tabletop

CONFIG = with_system("quickstart_direct", tabletop("direct"))


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
