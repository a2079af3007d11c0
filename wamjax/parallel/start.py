"""Multi-host start: one process per host finds the others, or there is only one.

Four ways a launcher tells us (`launch/` uses all of them); the first that speaks is believed:

    JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID   given by hand
    SLURM_NTASKS > 1, OMPI_COMM_WORLD_SIZE > 1                    found by jax
    TPU_WORKER_HOSTNAMES with more than one name,
    MEGASCALE_NUM_SLICES > 1                                      found by jax (TPU pods on GKE)
    TPU chips and none of these                                   jax asks the TPU VM's metadata

The others are waited for WAMJAX_JOIN_SECONDS (images are pulled, nodes come late), a silent host
WAMJAX_HEARTBEAT_SECONDS: one that compiles for minutes on every core is late with its heartbeats
and must not be taken for dead.
"""

import dataclasses
import importlib.util
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax

from wamjax.core.errors import UserError

BY_HAND = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")

# Environment variable -> (argument of jax.distributed.initialize, seconds).
PATIENCE = {
    "WAMJAX_JOIN_SECONDS": ("initialization_timeout", 900),
    "WAMJAX_HEARTBEAT_SECONDS": ("heartbeat_timeout_seconds", 600),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hosts:
    """Which process this is, of how many."""

    index: int
    count: int


def start_hosts(environment: Mapping[str, str] | None = None) -> Hosts:
    """Join the other processes if the environment says that there are others.

    Call it before anything asks jax for devices. A second call does nothing.

    Raises:
        UserError: the environment names a coordinator but not the count and the index, a number in
            it is none, SLURM has several tasks of which this process is none, or a TPU VM's
            metadata do not answer.
    """
    env = os.environ if environment is None else environment
    if not jax.distributed.is_initialized():
        given = [name for name in BY_HAND if env.get(name)]
        if len(given) == len(BY_HAND):
            count, index = whole(env, "JAX_NUM_PROCESSES"), whole(env, "JAX_PROCESS_ID")
            if index >= count:
                raise UserError(
                    f"JAX_PROCESS_ID is {index} where JAX_NUM_PROCESSES is {count}; "
                    "count processes from 0."
                )
            # What was given by hand is not mixed with what a cluster says.
            jax.distributed.initialize(
                env["JAX_COORDINATOR_ADDRESS"],
                count,
                index,
                cluster_detection_method="deactivate",
                **patience(env),
            )
        elif _cluster_has_others(env):
            jax.distributed.initialize(**patience(env))
        elif given:
            missing = ", ".join(name for name in BY_HAND if name not in given)
            raise UserError(
                f"{', '.join(given)} is set but {missing} is not; set all three or none."
            )
        elif _on_a_tpu_vm(env):
            try:
                jax.distributed.initialize(**patience(env))
            except (OSError, ValueError, IndexError) as error:
                raise UserError(
                    f"this machine has TPU chips but its metadata do not name its hosts ({error}); "
                    "set TPU_SKIP_MDS_QUERY=1 if it is the only host, else "
                    f"{', '.join(BY_HAND)} on each."
                ) from error
    return Hosts(index=jax.process_index(), count=jax.process_count())


def whole(env: Mapping[str, str], name: str) -> int:
    """A count in the environment.

    Raises:
        UserError: it is not a whole number from 0 on.
    """
    if not env[name].isdecimal():
        raise UserError(f"{name} is {env[name]!r}; set it to a whole number.")
    return int(env[name])


def patience(env: Mapping[str, str]) -> dict[str, Any]:
    """Time limits for `jax.distributed.initialize`."""
    return {
        argument: whole(env, name) if env.get(name) else seconds
        for name, (argument, seconds) in PATIENCE.items()
    }


def _cluster_has_others(env: Mapping[str, str]) -> bool:
    if env.get("SLURM_NTASKS") and whole(env, "SLURM_NTASKS") > 1:
        tasks = whole(env, "SLURM_NTASKS")
        # A batch script and an interactive shell see the job's tasks without being one of them.
        if not env.get("SLURM_STEP_NUM_TASKS") or whole(env, "SLURM_STEP_NUM_TASKS") != tasks:
            raise UserError(
                f"SLURM gave this job {tasks} tasks and this process is none of them; "
                "start it with `srun`, as launch/slurm.sbatch does, or ask for --ntasks=1."
            )
        return True
    for counter in ("OMPI_COMM_WORLD_SIZE", "MEGASCALE_NUM_SLICES"):
        if env.get(counter) and whole(env, counter) > 1:
            return True
    for names in ("TPU_PROCESS_ADDRESSES", "TPU_WORKER_HOSTNAMES"):
        if env.get(names):
            return "," in env[names]
    return False


def _on_a_tpu_vm(env: Mapping[str, str]) -> bool:
    """Whether this machine has TPU chips that jax will use; its metadata then name the hosts."""
    if "TPU_SKIP_MDS_QUERY" in env or env.get("TPU_WORKER_HOSTNAMES"):
        return False
    if env.get("JAX_PLATFORMS") and "tpu" not in env["JAX_PLATFORMS"].split(","):
        return False
    return importlib.util.find_spec("libtpu") is not None and bool(tpu_chips())


def tpu_chips(devices: pathlib.Path = pathlib.Path("/dev")) -> list[pathlib.Path]:
    """The chips of this machine: up to v4 as /dev/accel*, later ones as /dev/vfio/0, 1, ..."""
    return [*devices.glob("accel[0-9]*"), *devices.glob("vfio/[0-9]*")]
