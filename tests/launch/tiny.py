"""The smallest run of `wamjax train`, and its data, for processes that `launch/` starts.

python -m tests.launch.tiny FOLDER      makes them, and prints the flags of `wamjax train`
"""

import os
import pathlib
import sys

from tests.cli.made_data import episodes
from wamjax.data.writing.rlds import write_rlds

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = '''"""A run that compiles in seconds."""
import dataclasses

from tests.recipes.systems import SMALL
from wamjax.core.config import to_flags
from wamjax.data.config import DataConfig
from wamjax.model.couplings import Size, coupled
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

SIZE = Size(width=8, depth=1, heads=1, head_dim=8, action_width=8)
CONFIG = RunConfig(
    name="tiny",
    system=dataclasses.replace(SMALL, training="direct", model=coupled("mot", SIZE, patch=2)),
    data=DataConfig(dir="nowhere", image_size=16, chunk=4, text_length=24, holdout=0.25),
    train=TrainConfig(steps=200, batch=8, save_every=1000, log_every=5),
)


def get_config():
    return to_flags(CONFIG)
'''
# What every file of launch/ hands to `wamjax train`.
Flags = list[str]


def make(folder: pathlib.Path) -> Flags:
    """Data and config in `folder`; the flags but for --workdir."""
    directory = write_rlds(folder / "data", "square", "1.0.0", episodes(12))
    config = folder / "tiny.py"
    config.write_text(CONFIG)
    return ["--config", str(config), f"--config.data.dir={directory}"]


def environment(**changes: str) -> dict[str, str]:
    """One device and one thread a process, programs compiled quickly, `wamjax` of this checkout."""
    paths = [os.path.dirname(sys.executable), os.environ["PATH"], "/usr/sbin"]
    return {
        **os.environ,
        "PATH": os.pathsep.join(paths),
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
        "OMP_NUM_THREADS": "1",
        "WAMJAX_CHECK_SHAPES": "0",
        # jax has set it to 1 in this process.
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **changes,
    }


if __name__ == "__main__":
    print(*make(pathlib.Path(sys.argv[1])))
