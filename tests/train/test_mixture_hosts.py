"""Two processes train on a mixture, are killed, and one goes on with the batches of the run that
was never stopped."""

import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.data.real_mixture import place
from tests.train.test_two_hosts import free_port
from wamjax.core.config import to_json
from wamjax.core.files import read_json, write_json
from wamjax.train.metrics import read_metrics

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 12


def start(workdir: pathlib.Path, config: pathlib.Path, hosts: int, delay: float):
    """One process a host, with as many devices that the mesh is the same."""
    address = f"127.0.0.1:{free_port()}"
    processes = []
    for index in range(hosts):
        environment = {
            **os.environ,
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={2 // hosts}",
            "WAMJAX_CHECK_SHAPES": "0",
        }
        if hosts > 1:
            environment |= {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_NUM_PROCESSES": str(hosts),
                "JAX_PROCESS_ID": str(index),
            }
        words = ["-m", "tests.train.mixture_run", str(config), str(workdir), str(delay)]
        command = [sys.executable, *words]
        with (workdir.parent / f"{workdir.name}-{hosts}-{index}.log").open("a") as log:
            processes.append(
                subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log, stdout=log)
            )
    return processes


def logs(workdir: pathlib.Path) -> str:
    return "\n".join(path.read_text()[-2000:] for path in sorted(workdir.parent.glob("*.log")))


def end(processes, workdir: pathlib.Path) -> None:
    try:
        assert [process.wait(600) for process in processes] == [0] * len(processes), logs(workdir)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def drawn(workdir: pathlib.Path, hosts: int) -> dict[int, list[int]]:
    """Step -> the global batch's windows, put together from what each of the hosts read."""
    steps: dict[int, list[int]] = {}
    for host in range(hosts):
        path = workdir.parent / f"{workdir.name}-batches-{hosts}-{host}.jsonl"
        for line in path.read_text().splitlines():
            row = json.loads(line)
            steps.setdefault(row["step"], []).extend(row["windows"])
    return steps


def saved(workdir: pathlib.Path) -> int:
    """The newest step of which there is a whole checkpoint."""
    folder = workdir / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return max((int(name) for name in names if name.isdigit()), default=0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hosts_that_are_killed_and_one_that_goes_on(shared_data, tmp_path):
    config = tmp_path / "config.json"
    write_json(config, to_json(place(shared_data, tmp_path)))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    end(start(whole, config, 1, 0.0), whole)

    processes = start(broken, config, 2, 0.5)
    try:
        while saved(broken) < 4:
            assert all(process.poll() is None for process in processes), logs(broken)
            time.sleep(0.05)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    stopped = saved(broken)
    assert 4 <= stopped < STEPS

    end(start(broken, config, 1, 0.0), broken)
    alone = drawn(whole, 1)
    assert sorted(alone) == list(range(STEPS))
    together, again = drawn(broken, 2), drawn(broken, 1)
    assert sorted(again) == list(range(stopped, STEPS))
    assert again == {step: alone[step] for step in again}
    # A host may have read one batch more than the other when they were killed.
    for step, windows in together.items():
        assert windows == alone[step] or (len(windows) < 8 and step >= stopped)
    assert {*range(stopped)} <= {*together}
    finals = [read_json(path / "final.json") for path in (whole, broken)]
    assert [final["step"] for final in finals] == [STEPS, STEPS]
    losses = [{row["step"]: row["loss"] for row in read_metrics(path)} for path in (whole, broken)]
    np.testing.assert_allclose(losses[0][STEPS], losses[1][STEPS], rtol=1e-3)
