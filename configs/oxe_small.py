"""A joint WAM of 100 M weights, pretrained on Open X-Embodiment (OpenVLA's mixture, 27 data sets).

    wamjax train --config configs/oxe_small.py --config.data.root=DIR --workdir SHARED_FOLDER
    wamjax plan --config configs/oxe_small.py --topology v5e:8x8

See configs/oxe_base.py for the data, the structure and what is counted. Meant for v5e:8x8, Cloud's
v5litepod-64: every device has a copy of the weights and 16 windows a step.

    100,600,128 weights, 0.465 TFLOP an example, 9.5e19 FLOP for the run
"""

from wamjax.cli.oxe_config import pretraining
from wamjax.core.config import to_flags
from wamjax.model.couplings import Size, coupled
from wamjax.parallel.mesh import MeshConfig

CONFIG = pretraining(
    "oxe_small",
    coupled(
        "mot",
        Size(width=512, depth=14, heads=4, head_dim=128, action_width=256),
        patch=2,
        dtype="bfloat16",
        remat="dots",
    ),
    mesh=MeshConfig(data=-1),
)


def get_config():
    """The config as flags."""
    return to_flags(CONFIG)
