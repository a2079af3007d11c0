"""Two processes, each with one device, train like one process with two."""

import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.train.test_loop import go, run
from tests.train.toy import TWO_STAGES
from wamjax.core.files import read_json
from wamjax.core.tree import leaves_by_path, weights_sha256
from wamjax.train.checkpoint import load_for_inference

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
def test_two_hosts_train_like_one(tmp_path: pathlib.Path):
    together = tmp_path / "together"
    address = f"127.0.0.1:{free_port()}"
    log = tmp_path / "log.txt"
    processes = []
    for index in range(2):
        environment = {
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
            "WAMJAX_CHECK_SHAPES": "0",
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": "2",
            "JAX_PROCESS_ID": str(index),
        }
        with log.open("a") as file:
            command = [sys.executable, "-m", "tests.train.two_hosts", str(together), "2"]
            processes.append(
                subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
            )
    try:
        codes = [process.wait(120) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert codes == [0, 0], log.read_text()

    final, _ = go(run(stages=TWO_STAGES), tmp_path / "alone")
    theirs = read_json(together / "final.json")
    assert theirs["step"] == final["step"] == 20
    weights = load_for_inference(together)[2]
    assert weights_sha256(weights) == theirs["weights_sha256"]
    alone = leaves_by_path(load_for_inference(tmp_path / "alone")[2])
    for path, leaf in leaves_by_path(weights).items():
        np.testing.assert_allclose(leaf, alone[path], rtol=1e-3, atol=1e-5, err_msg=path)
