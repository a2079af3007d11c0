"""Four processes with two devices each: every host loads the rows that its devices hold."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.train.test_two_hosts import ROOT, ended, free_port

HOSTS = 4
# (index, count) of the share of each host; hosts that split weights or tokens load the same rows.
SHARES = {
    "data over hosts": [[0, 4], [1, 4], [2, 4], [3, 4]],
    "fsdp over hosts": [[0, 4], [1, 4], [2, 4], [3, 4]],
    "tensor within a host": [[0, 4], [1, 4], [2, 4], [3, 4]],
    "tensor over two hosts": [[0, 2], [0, 2], [1, 2], [1, 2]],
    "tensor over all hosts": [[0, 1]] * 4,
    "sequence over two hosts": [[0, 2], [0, 2], [1, 2], [1, 2]],
    "sequence over all hosts": [[0, 1]] * 4,
    "fsdp, tensor and sequence": [[0, 2], [0, 2], [1, 2], [1, 2]],
    "slices": [[0, 4], [1, 4], [2, 4], [3, 4]],
}


@pytest.mark.slow
def test_each_host_loads_the_rows_its_devices_hold(tmp_path: pathlib.Path):
    address, processes = f"127.0.0.1:{free_port()}", []
    for index in range(HOSTS):
        environment = {
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
            "WAMJAX_CHECK_SHAPES": "0",
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": str(HOSTS),
            "JAX_PROCESS_ID": str(index),
        }
        command = [sys.executable, "-m", "tests.parallel.host_rows", str(tmp_path / "told")]
        with (tmp_path / f"{index}.log").open("w") as log:
            processes.append(
                subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            )
    codes = ended(processes)
    logs = "\n".join(path.read_text()[-2000:] for path in sorted(tmp_path.glob("*.log")))
    assert codes == [0] * HOSTS, logs
    told = [json.loads((tmp_path / f"told-{index}.json").read_text()) for index in range(HOSTS)]
    for name, shares in SHARES.items():
        assert [one[name]["share"] for one in told] == shares, name
    # Hosts 0 and 1 hold rows 0-1, 4-5 and 2-3, 6-7.
    assert all("scattered rows of the batch" in one["scattered"] for one in told)
