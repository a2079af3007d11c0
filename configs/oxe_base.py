"""A joint WAM of 1 B weights, pretrained on Open X-Embodiment (OpenVLA's mixture, 27 data sets).

    wamjax train --config configs/oxe_base.py --config.data.root=DIR --workdir SHARED_FOLDER
    wamjax train --config configs/oxe_base.py:small --config.data.root=DIR --workdir SHARED_FOLDER
    wamjax sample --workdir SHARED_FOLDER --data-set bridge_orig

DIR holds the data sets; make stores of them first (`wamjax data prepare --size 224`). Another
mixture of data/mixtures.toml: --config.data.mixture=NAME. The same command on every host; weights
and optimizer are split over all devices (`mesh.fsdp=-1`), on more than 64 of them
`--config.mesh.data=-1 --config.mesh.fsdp=64`: the first layer behind the keypoints has 12,864
inputs, which 128 does not divide.

    base    1,042,990,912 weights, 4.27 TFLOP an example, 8.7e20 FLOP for the run
    small     100,600,128 weights, 0.46 TFLOP an example, 9.5e19 FLOP for the run

These are counted, not run: at 40 % of the 989 TFLOP/s of an H200 (bfloat16) 614 and 67 GPU-hours;
no success rate has been measured. The structure is the quick start's (shared attention between a
video trunk and an action expert, joint noise), with pictures of 224 pixels and no latent
autoencoder. Every robot acts at its own rate, as in Octo's and OpenVLA's mixtures: RT-1's 3 steps a
second divide no other rate.
"""

from wamjax.core.config import to_flags
from wamjax.core.errors import UserError
from wamjax.data.config import DataConfig
from wamjax.model.couplings import Size, coupled
from wamjax.parallel.mesh import MeshConfig
from wamjax.recipes.config import CodecConfig, ContextConfig, SystemConfig, TextConfig
from wamjax.train.augment import OCTO
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

SIZES = {
    "base": Size(width=1536, depth=18, heads=12, head_dim=128, action_width=768),
    "small": Size(width=512, depth=14, heads=4, head_dim=128, action_width=256),
}
SIDE, CHUNK, STRIDE, TEXT, WIDTH = 224, 16, 8, 128, 64


def config(which: str = "base") -> RunConfig:
    """The run at one of the sizes: 200,000 steps of 1,024 windows."""
    if which not in SIZES:
        raise UserError(f"configs/oxe_base.py:{which}: choose one of {', '.join(SIZES)}.")
    size = SIZES[which]
    # The first two are predicted; of the third the keypoints are seen.
    cameras = ("primary", "wrist", "secondary")
    system = SystemConfig(
        views=len(cameras),
        predicted_views=2,
        image_size=SIDE,
        future=CHUNK // STRIDE,
        frame_stride=STRIDE,
        chunk=CHUNK,
        action_dim=WIDTH,
        proprio_dim=WIDTH,
        text_length=TEXT,
        codec=CodecConfig(kind="patch", patch=8),
        text=TextConfig(width=512, words=32, hidden=256),
        context=ContextConfig(
            tokens=8,
            channels=(64, 128, 128),
            kernels=(8, 4, 3),
            strides=(4, 2, 1),
            hidden=512,
        ),
        model=coupled("mot", size, patch=2, dtype="bfloat16", remat="dots"),
    )
    return RunConfig(
        name=f"oxe_{which}",
        system=system,
        data=DataConfig(
            mixture="oxe_magic_soup_plus",
            cameras=cameras,
            image_size=SIDE,
            future=system.future,
            frame_stride=STRIDE,
            chunk=CHUNK,
            text_length=TEXT,
            action_width=WIDTH,
            proprio_width=WIDTH,
            holdout=0.01,
            bad_budget=0.01,
        ),
        train=TrainConfig(
            steps=200_000,
            batch=1024,
            save_every=2_000,
            learning_rate=2e-4,
            warmup=0.01,
            weight_decay=0.05,
            beta2=0.95,
            ema=0.9999,
            augment=OCTO,
        ),
        mesh=MeshConfig(data=1, fsdp=-1),
    )


CONFIG = config()


def get_config(which: str = "base"):
    """The config as flags."""
    return to_flags(config(which))
