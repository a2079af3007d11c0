import pytest

from wamjax.core.errors import UserError
from wamjax.parallel.start import Hosts, start_hosts


def test_without_others_there_is_one_host():
    assert start_hosts({}) == Hosts(index=0, count=1)
    alone = {"SLURM_NTASKS": "1", "TPU_WORKER_HOSTNAMES": "localhost"}
    assert start_hosts(alone) == Hosts(index=0, count=1)


def test_half_an_address_is_refused():
    with pytest.raises(UserError, match="JAX_PROCESS_ID is not"):
        start_hosts({"JAX_COORDINATOR_ADDRESS": "a:1", "JAX_NUM_PROCESSES": "2"})
