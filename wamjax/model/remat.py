"""What the backward pass makes anew in each layer, and what it finds kept.

    none              keeps everything
    dots              keeps the results of all contractions: norms, activations and softmax are
                      cheaper to make than to keep
    products          keeps the results of products with weights, but not attention's scores
    full              keeps what enters a layer, and makes the rest anew
    offload           as full; what enters waits in the host's memory
    offload_products  as products; the results wait in the host's memory

Offloaded arrays cross the host's link twice a step and need no device memory meanwhile.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax

from wamjax.core.errors import UserError
from wamjax.model.config import Remat
from wamjax.parallel.activations import is_spread, platform

ENTERS = "enters a layer"
HOST = "pinned_host"
POLICIES = jax.checkpoint_policies
KEPT: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "dots": POLICIES.dots_saveable,
        "products": POLICIES.dots_with_no_batch_dims_saveable,
        "full": POLICIES.nothing_saveable,
        "offload": POLICIES.save_and_offload_only_these_names(
            names_which_can_be_saved=[],
            names_which_can_be_offloaded=[ENTERS],
            offload_src="device",
            offload_dst=HOST,
        ),
        "offload_products": POLICIES.offload_dot_with_no_batch_dims("device", HOST),
    }
)


def policy(remat: Remat) -> Callable[..., Any]:
    """The policy of `jax.checkpoint` of that name, other than "none".

    Raises:
        UserError: it keeps arrays in the host's memory, and the devices cannot reach that.
    """
    if remat.startswith("offload") and not is_spread():
        # Nothing is taken back where nothing is trained; a CPU may sample what a TPU has trained.
        return KEPT["full"]
    if remat.startswith("offload") and not reaches_host():
        raise UserError(
            f"remat {remat!r} keeps activations in the host's memory, and programs for "
            f"{platform()} cannot: set remat to 'full'."
        )
    return KEPT[remat]


def reaches_host() -> bool:
    """Whether programs can leave arrays in the host's memory and take them back."""
    if platform() == "cpu":
        # It has the memory, but XLA's compiler for CPUs has no such copy.
        return False
    if platform() != jax.default_backend():
        return True
    return HOST in {memory.kind for memory in jax.local_devices()[0].addressable_memories()}
