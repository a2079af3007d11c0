"""A joint WAM of 1 B weights, pretrained on Open X-Embodiment (OpenVLA's mixture, 27 data sets).

    wamjax train --config configs/oxe_base.py --config.data.root=DIR --workdir SHARED_FOLDER
    wamjax sample --workdir SHARED_FOLDER --data-set bridge_orig
    wamjax plan --config configs/oxe_base.py --topology v5p:4x4x4

DIR holds the data sets; make stores of them first (`wamjax data prepare --size 224`). Another
mixture of data/mixtures.toml: --config.data.mixture=NAME. The same command on every host. Meant for
v5p:4x4x4, Cloud's v5p-128. Weights and optimizer are split over all devices, on more than 64 of
them over `--config.mesh.data=-1 --config.mesh.fsdp=64`: the first layer behind the keypoints has
12,864 inputs, which 128 does not divide.

    1,042,990,912 weights, 4.27 TFLOP an example, 8.7e20 FLOP for the run

These are counted, not run: at 40 % of the 989 TFLOP/s of an H200 (bfloat16) 614 GPU-hours; no
success rate has been measured. The structure is the quick start's (shared attention between a video
trunk and an action expert, joint noise), with pictures of 224 pixels and no latent autoencoder.
configs/oxe_small.py has 100 M weights, oxe_large.py 5.5 B, oxe_xl.py 15 B.
"""

from wamjax.cli.oxe_config import pretraining
from wamjax.core.config import to_flags
from wamjax.model.couplings import Size, coupled
from wamjax.parallel.mesh import MeshConfig

CONFIG = pretraining(
    "oxe_base",
    coupled(
        "mot",
        Size(width=1536, depth=18, heads=12, head_dim=128, action_width=768),
        patch=2,
        dtype="bfloat16",
        remat="dots",
    ),
    mesh=MeshConfig(data=1, fsdp=-1),
)


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
