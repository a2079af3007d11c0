"""A joint WAM of 5.5 B weights in the shape of Wan2.2-5B, pretrained on Open X-Embodiment.

    wamjax train --config configs/oxe_large.py --config.data.root=DIR --workdir SHARED_FOLDER
    wamjax plan --config configs/oxe_large.py --topology v5p:4x4x8

See configs/oxe_base.py for the data. The trunk has Wan2.2-5B's 30 layers of width 3072 (text by
cross-attention), the actions an expert of width 512 in the same attention, as in FastWAM. Meant for
v5p:4x4x8, Cloud's v5p-256: weights and optimizer are split over 64 devices, the batch over all.

    5,502,273,088 weights, 32.7 TFLOP an example, 6.7e21 FLOP for the run

These are counted, not run.
"""

from wamjax.cli.oxe_config import pretraining, wan_shaped
from wamjax.core.config import to_flags
from wamjax.parallel.mesh import MeshConfig

CONFIG = pretraining(
    "oxe_large",
    wan_shaped(((3072, 14336), (512, 2048), (30, 24, 128)), remat="full"),
    mesh=MeshConfig(data=-1, fsdp=64),
    learning_rate=1e-4,
)


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
