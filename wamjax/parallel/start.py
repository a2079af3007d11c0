"""Multi-host start: one process per host finds the others, or there is only one.

Three ways a launcher tells us (`launch/` uses all of them):

    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID   given by hand
    SLURM_NTASKS > 1, OMPI_COMM_WORLD_SIZE > 1                    found by jax
    TPU_WORKER_HOSTNAMES with more than one name                  found by jax (TPU pods, GKE)
"""

import dataclasses
import os
from collections.abc import Mapping

import jax

from wamjax.core.errors import UserError

BY_HAND = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hosts:
    """Which process this is, of how many."""

    index: int
    count: int


def start_hosts(environment: Mapping[str, str] | None = None) -> Hosts:
    """Join the other processes if the environment says that there are others.

    Call it before anything asks jax for devices. A second call does nothing.

    Raises:
        UserError: the environment names a coordinator but not the count and the index.
    """
    env = os.environ if environment is None else environment
    if not jax.distributed.is_initialized():
        given = [name for name in BY_HAND if env.get(name)]
        if len(given) == len(BY_HAND):
            jax.distributed.initialize(
                env["JAX_COORDINATOR_ADDRESS"],
                int(env["JAX_NUM_PROCESSES"]),
                int(env["JAX_PROCESS_ID"]),
            )
        elif _cluster_has_others(env):
            jax.distributed.initialize()
        elif given:
            missing = ", ".join(name for name in BY_HAND if name not in given)
            raise UserError(
                f"{', '.join(given)} is set but {missing} is not; set all three or none."
            )
    return Hosts(index=jax.process_index(), count=jax.process_count())


def _cluster_has_others(env: Mapping[str, str]) -> bool:
    for counter in ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE"):
        if counter in env and int(env[counter]) > 1:
            return True
    return "TPU_WORKER_HOSTNAMES" in env and "," in env["TPU_WORKER_HOSTNAMES"]
