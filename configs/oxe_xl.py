"""A joint WAM of 15 B weights in the shape of Wan2.1-14B, pretrained on Open X-Embodiment.

    wamjax train --config configs/oxe_xl.py --config.data.root=DIR --workdir SHARED_FOLDER
    wamjax plan --config configs/oxe_xl.py --topology v5p:4x8x8

See configs/oxe_base.py for the data. The trunk has Wan2.1-14B's 40 layers of width 5120 (text by
cross-attention), the actions an expert of width 512 in the same attention, as in FastWAM. Meant for
v5p:4x8x8, Cloud's v5p-512: weights and optimizer are split over 64 devices, the batch over all.

    15,323,320,896 weights, 89.2 TFLOP an example, 1.83e22 FLOP for the run

These are counted, not run.
"""

from wamjax.cli.oxe_config import pretraining, wan_shaped
from wamjax.core.config import to_flags
from wamjax.parallel.mesh import MeshConfig

CONFIG = pretraining(
    "oxe_xl",
    wan_shaped(((5120, 13824), (512, 2048), (40, 40, 128)), remat="full"),
    mesh=MeshConfig(data=-1, fsdp=64),
    learning_rate=6e-5,
)


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
