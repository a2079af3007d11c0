"""The quick start with the shortcut objective: actions in one pass instead of five.

A quarter of every batch learns jumps of the actions (arXiv 2410.12557) at the cost of two more
passes of that quarter without gradients. `--config.system.solver_steps=2`, 4, 8 or 16 takes as many
jumps; the weights are the same.

wamjax train --config configs/quickstart_shortcut.py --config.data.dir=DIR --workdir runs/shortcut
"""

import dataclasses

from wamjax.cli.quickstart_config import with_system
from wamjax.core.config import to_flags
from wamjax.recipes.tabletop import tabletop

CONFIG = with_system(
    "quickstart_shortcut",
    dataclasses.replace(tabletop("joint"), jump="shortcut", solver_steps=1),
)


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
