"""The quick start with the objective `two_stage`: a world model first, then frozen while
the actions learn from the future that it predicts.

wamjax train --config configs/quickstart_two_stage.py --config.data.dir=DIR --workdir runs/two_stage
"""

from wamjax.cli.quickstart_config import with_system
from wamjax.core.config import to_flags
from wamjax.recipes.tabletop import tabletop

CONFIG = with_system("quickstart_two_stage", tabletop("two_stage"))


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
