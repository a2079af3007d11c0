"""RL after imitation on `reach`: a policy that solves some of it, rewarded in rollouts.

    wamjax train --config configs/quickstart.py --config.data.dir=DIR --config.train.steps=450 \
        --workdir runs/half
    wamjax train --config configs/ript_reach.py --config.ript.start=runs/half --workdir runs/ript
"""

from wamjax.cli.quickstart_config import CONFIG as START
from wamjax.core.config import to_flags
from wamjax.train.ript_config import RiptConfig
from wamjax.train.run_config import RunConfig

# System, data and training are those of the run it starts from.
CONFIG = RunConfig(
    name="ript_reach", system=START.system, data=START.data, train=START.train, ript=RiptConfig()
)


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
