"""Two processes, each with one device, train like one process with two."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.train.test_loop import go, run
from tests.train.toy import TWO_STAGES
from tests.train.two_hosts import log_of
from wamjax.core.files import read_json
from wamjax.core.tree import leaves_by_path, weights_sha256
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.intact import fault, steps_in

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(
    workdir: pathlib.Path, *more: list[str], hosts: int = 2, **settings: str
) -> list[subprocess.Popen]:
    """Processes, each with one device; `more` are further words for each of them."""
    address = f"127.0.0.1:{free_port()}"
    processes = []
    for index in range(hosts):
        environment = {
            **os.environ,
            "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
            "WAMJAX_CHECK_SHAPES": "0",
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": str(hosts),
            "JAX_PROCESS_ID": str(index),
            **settings,
        }
        words = [str(workdir), "2", *(more[index] if more else [])]
        # Through a pipe, since a file could not grow on a full disk.
        piped = ["bash", "-c", 'log=$1; shift; exec "$@" > >(cat >>"$log") 2>&1', "bash"]
        command = [*piped, str(log_of(workdir, index)), sys.executable]
        command += ["-m", "tests.train.two_hosts", *words]
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment))
    return processes


def said(workdir: pathlib.Path) -> str:
    logs = sorted(workdir.parent.glob(f"{workdir.name}-*.log"))
    return "\n".join(log.read_text() for log in logs)


def ended(processes: list[subprocess.Popen]) -> list[int]:
    try:
        return [process.wait(240) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_two_hosts_train_like_one(tmp_path: pathlib.Path):
    together = tmp_path / "together"
    assert ended(start(together)) == [0, 0], said(together)

    final, _ = go(run(stages=TWO_STAGES), tmp_path / "alone")
    theirs = read_json(together / "final.json")
    assert theirs["step"] == final["step"] == 20
    weights = load_for_inference(together)[2]
    assert weights_sha256(weights) == theirs["weights_sha256"]
    alone = leaves_by_path(load_for_inference(tmp_path / "alone")[2])
    for path, leaf in leaves_by_path(weights).items():
        np.testing.assert_allclose(leaf, alone[path], rtol=1e-3, atol=1e-5, err_msg=path)


@pytest.mark.slow
def test_a_preemption_of_one_host_stops_both_at_one_step_and_the_rest_is_the_same(
    tmp_path: pathlib.Path,
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    steps = {"TOY_STEPS": "60"}
    assert ended(start(whole, **steps)) == [0, 0], said(whole)
    processes = start(broken, **steps, TOY_DELAY="0.2")
    deadline = time.monotonic() + 200
    while not steps_in(broken / "checkpoints") and time.monotonic() < deadline:
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGTERM)
    assert ended(processes) == [0, 0], said(broken)
    told = log_of(broken, 0).read_text()
    assert "obeyed SIGTERM" in told
    (stopped,) = re.findall(r"stopped at step (\d+) of 60, saved", told)
    assert steps_in(broken / "checkpoints")[-1] == int(stopped) < 60
    assert fault(broken / "checkpoints" / stopped) is None
    assert ended(start(broken, **steps)) == [0, 0], said(broken)
    finals = [read_json(path / "final.json") for path in (whole, broken)]
    assert finals[0]["state_sha256"] == finals[1]["state_sha256"]


@pytest.mark.slow
def test_hosts_that_differ_in_a_setting_or_in_their_code_are_refused(tmp_path: pathlib.Path):
    setting, code = tmp_path / "setting", tmp_path / "code"
    assert ended(start(setting, ["0.01"], ["0.02"])) == [2, 2], said(setting)
    for index in range(2):
        last = log_of(setting, index).read_text().strip().splitlines()[-1]
        assert "the hosts do not agree (config.train.learning_rate: 0.01 on host 0, 0.02" in last
        assert "on host 1; fingerprint.config: " in last
    assert not (setting / "checkpoints").exists()

    assert ended(start(code, ["0.01"], ["0.01", "widened"])) == [2, 2], said(code)
    for index in range(2):
        last = log_of(code, index).read_text().strip().splitlines()[-1]
        assert "the hosts do not agree (program of stage world: " in last
    assert not steps_in(code / "checkpoints")
