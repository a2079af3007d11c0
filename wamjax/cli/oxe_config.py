"""The run that configs/oxe_*.py share: a joint WAM on Open X-Embodiment, of any model.

OpenVLA's mixture of 27 data sets, pictures of 224 pixels without a latent autoencoder, the quick
start's structure. Every robot acts at its own rate, as in Octo's and OpenVLA's mixtures: RT-1's 3
steps a second divide no other rate.
"""

import dataclasses

from wamjax.data.config import DataConfig
from wamjax.model.config import Port, Remat, WamConfig
from wamjax.parallel.mesh import MeshConfig
from wamjax.recipes import fast_wam
from wamjax.recipes.config import CodecConfig, ContextConfig, SystemConfig, TextConfig
from wamjax.train.augment import OCTO
from wamjax.train.config import TrainConfig
from wamjax.train.run_config import RunConfig

SIDE, CHUNK, STRIDE, TEXT, WIDTH = 224, 16, 8, 128, 64
# The first two are predicted; of the third the keypoints are seen.
CAMERAS = ("primary", "wrist", "secondary")


def wan_shaped(widths: fast_wam.Widths, *, remat: Remat) -> WamConfig:
    """FastWAM's model (Wan's blocks, text by cross-attention) with keypoints in the trunk."""
    base = fast_wam.model(widths)
    keypoints = Port(stream="feature", into="video", place=True)
    return dataclasses.replace(
        base, ports=(*base.ports, keypoints), patch=2, dtype="bfloat16", remat=remat
    )


def pretraining(
    name: str, model: WamConfig, *, mesh: MeshConfig, learning_rate: float = 2e-4
) -> RunConfig:
    """200,000 steps of 1,024 windows with that model."""
    system = SystemConfig(
        views=len(CAMERAS),
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
        model=model,
    )
    return RunConfig(
        name=name,
        system=system,
        data=DataConfig(
            mixture="oxe_magic_soup_plus",
            cameras=CAMERAS,
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
            learning_rate=learning_rate,
            warmup=0.01,
            weight_decay=0.05,
            beta2=0.95,
            ema=0.9999,
            augment=OCTO,
        ),
        mesh=mesh,
    )
