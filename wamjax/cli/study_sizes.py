"""The sizes of a study: the quick start's system, wider and deeper, and what it is trained on.

    tiny     1.2 M weights    48 x 48 pixels    two CPU cores
    small     34 M weights    64 x 64 pixels    a GPU
    base     403 M weights    96 x 96 pixels    a TPU slice

`configs/studies/` build their arms on `base_run`.
"""

import dataclasses
from typing import Literal

from wamjax.cli.quickstart_config import CONFIG
from wamjax.eval.study.study import Data, Worlds
from wamjax.model.couplings import Size, coupled
from wamjax.recipes.config import SystemConfig
from wamjax.recipes.tabletop import tabletop
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

StudySize = Literal["tiny", "small", "base"]
SIZES: tuple[StudySize, ...] = ("tiny", "small", "base")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scale:
    """What a size is.

    Attributes:
        model: of the transformer; None for the quick start's.
        image_size: pixels.
        train: steps, batch and rates.
        demos: episodes a task.
        worlds: in which everything is tried.
    """

    model: Size | None
    image_size: int
    train: TrainConfig
    demos: int
    worlds: Worlds


SCALES: dict[StudySize, Scale] = {
    "tiny": Scale(
        model=None,
        image_size=48,
        train=dataclasses.replace(CONFIG.train, steps=1200),
        demos=256,
        worlds=Worlds(manifest="quick"),
    ),
    "small": Scale(
        model=Size(width=384, depth=8, heads=6, head_dim=64, action_width=256),
        image_size=64,
        train=TrainConfig(
            steps=40_000,
            batch=256,
            learning_rate=5e-4,
            weight_decay=0.01,
            ema=0.999,
            save_every=5_000,
        ),
        demos=2_000,
        worlds=Worlds(manifest="quick"),
    ),
    "base": Scale(
        model=Size(width=1024, depth=16, heads=16, head_dim=64, action_width=512),
        image_size=96,
        train=TrainConfig(
            steps=100_000,
            batch=1024,
            learning_rate=2e-4,
            weight_decay=0.01,
            ema=0.9995,
            save_every=5_000,
        ),
        demos=10_000,
        worlds=Worlds(manifest="standard"),
    ),
}


def system(size: StudySize) -> SystemConfig:
    """The quick start's system at a size, with the objective `joint`."""
    scale, base = SCALES[size], tabletop("joint")
    if scale.model is None:
        return base
    model = coupled("mot", scale.model, patch=2)
    if size == "base":
        model = dataclasses.replace(model, dtype="bfloat16", remat="full")
    return dataclasses.replace(base, image_size=scale.image_size, model=model)


def base_run(size: StudySize) -> RunConfig:
    """The run that the arms of a study change one thing of."""
    scale, own = SCALES[size], system(size)
    return dataclasses.replace(
        CONFIG,
        name="study",
        system=own,
        data=dataclasses.replace(CONFIG.data, image_size=own.image_size),
        train=scale.train,
    )


def demonstrations(size: StudySize, *, randomised: bool = False) -> Data:
    """Training data in the clean look, or in a look of its own for every episode."""
    count = SCALES[size].demos
    if randomised:
        return Data(name="randomised", clean=0, randomised=count)
    return Data(name="clean", clean=count)
