"""A published system at its tiny size, on demonstrations of our own worlds or on any RLDS data.

    wamjax demos --task reach --out demos
    wamjax train --config configs/recipe.py:fast_wam --config.data.dir=DIR --workdir runs/fast_wam
    wamjax train --config configs/recipe.py:lingbot_va/paper --config.data.dir=DIR --workdir runs/l

Which: a name of `wamjax recipes`, and behind a slash one of its forms.
"""

from wamjax.cli.recipe_run import recipe_run
from wamjax.core.config import to_flags

CONFIG = recipe_run("fast_wam")


def get_config(which: str = "fast_wam"):
    """The config as flags."""
    return to_flags(recipe_run(which))
