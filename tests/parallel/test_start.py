import pathlib
from typing import Any

import jax
import pytest

from wamjax.core.errors import UserError
from wamjax.parallel import start
from wamjax.parallel.start import Hosts, start_hosts, tpu_chips

WAITS = {"initialization_timeout": 900, "heartbeat_timeout_seconds": 600}
A_TASK = {"SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple, dict[str, Any]]]:
    """What jax.distributed.initialize was called with."""
    seen: list[tuple[tuple, dict[str, Any]]] = []
    monkeypatch.setattr(
        jax.distributed, "initialize", lambda *args, **named: seen.append((args, named))
    )
    return seen


@pytest.fixture
def tpu_vm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "tpu_chips", lambda: [pathlib.Path("/dev/accel0")])
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda name: name)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"SLURM_NTASKS": "1", "TPU_WORKER_HOSTNAMES": "localhost"},
        {"MEGASCALE_NUM_SLICES": "1", "OMPI_COMM_WORLD_SIZE": "1"},
    ],
)
def test_without_others_there_is_one_host(env, calls):
    assert start_hosts(env) == Hosts(index=0, count=1)
    assert not calls


@pytest.mark.parametrize(
    "env",
    [
        A_TASK,
        {"OMPI_COMM_WORLD_SIZE": "4"},
        {"TPU_WORKER_HOSTNAMES": "a,b"},
        {"TPU_PROCESS_ADDRESSES": "a:1,b:1"},
        {"TPU_WORKER_HOSTNAMES": "localhost", "MEGASCALE_NUM_SLICES": "2"},
        # jax reads the address itself and takes count and index from SLURM.
        A_TASK | {"JAX_COORDINATOR_ADDRESS": "a:1"},
    ],
)
def test_a_cluster_with_others_is_found_by_jax(env, calls):
    start_hosts(env)
    assert calls == [((), WAITS)]


def test_what_is_given_by_hand_comes_before_a_cluster(calls):
    hand = {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "4", "JAX_PROCESS_ID": "3"}
    start_hosts(A_TASK | hand | {"WAMJAX_JOIN_SECONDS": "7", "WAMJAX_HEARTBEAT_SECONDS": "8"})
    waits = {"initialization_timeout": 7, "heartbeat_timeout_seconds": 8}
    assert calls == [(("a:1", 4, 3), {"cluster_detection_method": "deactivate"} | waits)]


@pytest.mark.usefixtures("tpu_vm")
def test_a_tpu_vm_asks_its_metadata(calls):
    start_hosts({})
    start_hosts({"JAX_PLATFORMS": "tpu,cpu"})
    assert calls == [((), WAITS), ((), WAITS)]
    # One host of GKE, one that is told not to ask, one that computes elsewhere.
    start_hosts({"TPU_WORKER_HOSTNAMES": "localhost"})
    start_hosts({"TPU_SKIP_MDS_QUERY": "1"})
    start_hosts({"JAX_PLATFORMS": "cpu"})
    assert len(calls) == 2


@pytest.mark.usefixtures("tpu_vm")
def test_a_tpu_vm_whose_metadata_are_silent_says_what_to_set(monkeypatch):
    def initialize(**_):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    with pytest.raises(UserError, match=r"no route to host.*TPU_SKIP_MDS_QUERY=1"):
        start_hosts({})


def test_chips_are_device_files(tmp_path: pathlib.Path):
    for name in ("accel0", "accel1", "vfio/0", "vfio/vfio", "accelerator"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = {str(path.relative_to(tmp_path)) for path in tpu_chips(tmp_path)}
    assert found == {"accel0", "accel1", "vfio/0"}


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2"}, "JAX_PROCESS_ID is not"),
        # `wamjax train` in a batch script, and in a shell of salloc.
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, "start it with `srun`"),
        ({"SLURM_NTASKS": "2", "SLURM_STEP_NUM_TASKS": "1"}, "start it with `srun`"),
        ({"SLURM_NTASKS": "two"}, "SLURM_NTASKS is 'two'"),
        (A_TASK | {"WAMJAX_JOIN_SECONDS": "1m"}, "WAMJAX_JOIN_SECONDS is '1m'"),
        (
            {"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "2"},
            "count processes from 0",
        ),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(env, sentence, calls):
    with pytest.raises(UserError, match=sentence):
        start_hosts(env)
    assert not calls
