"""1, 2 and 4 processes read the same mixture: every step the same union, with nothing twice."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.data.real_mixture import place
from tests.data.windows.hosts_run import digests
from tests.train.test_two_hosts import free_port
from wamjax.core.config import to_json
from wamjax.core.files import write_json
from wamjax.data import Loader, Mixture, compute_statistics
from wamjax.data.normalising.statistics import MixedStatistics
from wamjax.data.windows.members import members_of
from wamjax.data.windows.mixture import read_members

ROOT = pathlib.Path(__file__).resolve().parents[3]
HOSTS, DEVICES, BATCH, STEPS, STOP = (1, 2, 4), 4, 8, 6, 4


def read_by(hosts: int, plan: pathlib.Path, folder: pathlib.Path) -> list[dict]:
    """What each of so many processes wrote, with as many devices that the mesh is the same."""
    address, processes = f"127.0.0.1:{free_port()}", []
    for index in range(hosts):
        environment = {
            **os.environ,
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES // hosts}",
            "WAMJAX_CHECK_SHAPES": "0",
        }
        if hosts > 1:
            environment |= {
                "JAX_COORDINATOR_ADDRESS": address,
                "JAX_NUM_PROCESSES": str(hosts),
                "JAX_PROCESS_ID": str(index),
            }
        command = [sys.executable, "-m", "tests.data.windows.hosts_run", str(plan)]
        with (folder / f"{hosts}-{index}.log").open("w") as log:
            processes.append(
                subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
            )
    try:
        codes = [process.wait(600) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    logs = "\n".join(path.read_text()[-2000:] for path in sorted(folder.glob("*.log")))
    assert codes == [0] * hosts, logs
    rows = []
    for index in range(hosts):
        lines = (folder / f"{hosts}-{index}.jsonl").read_text().splitlines()
        rows += [{"host": index, **json.loads(line)} for line in lines]
    return rows


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_one_two_and_four_hosts_read_the_same_union(shared_data, tmp_path):
    config = place(shared_data, tmp_path)
    tables = read_members(config)
    statistics = MixedStatistics(
        {m.name: compute_statistics(m.config, tables[m.name]) for m in members_of(config)}
    )
    mixture = Mixture(config, statistics, tables)
    # Brute force: the order's windows, one batch after the other, in this process.
    order = mixture.order()
    wanted = [
        np.array([order[i] for i in range(step * BATCH, (step + 1) * BATCH)])
        for step in range(STEPS)
    ]
    rows = [digests(mixture.batch(numbers)) for numbers in wanted]
    plan = write_json(
        tmp_path / "plan.json",
        {
            "config": to_json(config),
            "statistics": statistics.to_json(),
            "state": Loader(mixture, BATCH, 0, 1).fingerprint,
            "batch": BATCH,
            "out": str(tmp_path),
            "runs": [
                {"prefetch": 0, "start": 0, "steps": STOP},
                {"prefetch": 2, "start": 0, "steps": STOP},
                # Goes on where any other number of hosts stopped.
                {"prefetch": 5, "start": STOP, "steps": STEPS - STOP},
                {"prefetch": 0, "start": STOP, "steps": STEPS - STOP},
            ],
        },
    )
    for hosts in HOSTS:
        read = read_by(hosts, plan, tmp_path)
        assert len(read) == hosts * (2 * STOP + 2 * (STEPS - STOP))
        for prefetch, start in ((0, 0), (2, 0), (5, STOP), (0, STOP)):
            for step in range(start, STOP if start == 0 else STEPS):
                here = [
                    row
                    for row in read
                    if (row["prefetch"], row["start"], row["step"]) == (prefetch, start, step)
                ]
                # Hosts in their order hold the global batch, each its own rows and no other's.
                assert [row["host"] for row in here] == list(range(hosts))
                assert [len(row["windows"]) for row in here] == [BATCH // hosts] * hosts
                union = [number for row in here for number in row["windows"]]
                assert union == wanted[step].tolist()
                assert [digest for row in here for digest in row["digests"]] == rows[step]
                held = [tuple(pair) for row in here for pair in row["held"]]
                assert held == list(enumerate(wanted[step].tolist()))
                assert {row["state"] for row in here} == {(step + 1) * BATCH}
