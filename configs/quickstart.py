"""The quick start: a joint WAM on demonstrations of `reach` and `push`, on two CPU cores.

wamjax quickstart --workdir runs/quickstart
wamjax train --config configs/quickstart.py --config.data.dir=DIR --workdir runs/mine
"""

from wamjax.cli.quickstart_config import CONFIG
from wamjax.core.config import to_flags


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
