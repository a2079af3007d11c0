"""The promise of exact resume, kept against kill -9 in processes of their own."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from wamjax.train.checkpoint import load_for_inference
from wamjax.train.metrics import read_metrics

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 40


def start(workdir: pathlib.Path, delay: float) -> subprocess.Popen:
    flags = "--xla_force_host_platform_device_count=2"
    with (workdir.parent / f"{workdir.name}.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.train.toy_run", str(workdir), str(STEPS), str(delay)],
            cwd=ROOT,
            env={**os.environ, "XLA_FLAGS": flags, "WAMJAX_CHECK_SHAPES": "0"},
            stderr=log,
        )


def said(workdir: pathlib.Path) -> str:
    return (workdir.parent / f"{workdir.name}.log").read_text()


def end(process: subprocess.Popen, workdir: pathlib.Path) -> None:
    assert process.wait(120) == 0, said(workdir)


def newest(workdir: pathlib.Path) -> int:
    folder = workdir / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return max((int(name) for name in names if name.isdigit()), default=0)


def wait_until(
    process: subprocess.Popen, workdir: pathlib.Path, condition: Callable[[], bool]
) -> None:
    while not condition():
        assert process.poll() is None, said(workdir)
        time.sleep(0.002)


def test_a_run_killed_while_saving_and_then_terminated_ends_with_the_same_bits(
    tmp_path: pathlib.Path,
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    end(start(whole, 0.0), whole)

    # In the middle of writing a checkpoint.
    process = start(broken, 0.1)
    folder = broken / "checkpoints"
    wait_until(
        process,
        broken,
        lambda: newest(broken) >= 3 and any("tmp" in path.name for path in folder.iterdir()),
    )
    process.kill()
    process.wait()
    assert newest(broken) < STEPS

    # Between two checkpoints, politely.
    process = start(broken, 0.1)
    first = newest(broken)
    wait_until(process, broken, lambda: newest(broken) >= first + 6)
    process.send_signal(signal.SIGTERM)
    end(process, broken)
    assert "saved; the same command goes on" in said(broken)
    stopped = newest(broken)
    assert load_for_inference(broken)[3] == stopped < STEPS

    end(start(broken, 0.0), broken)
    assert f"goes on from step {stopped} of {STEPS}" in said(broken)

    finals = [json.loads((path / "final.json").read_text()) for path in (whole, broken)]
    assert finals[0]["state_sha256"] == finals[1]["state_sha256"]
    assert finals[0]["weights_sha256"] == finals[1]["weights_sha256"]
    steps = [row["step"] for row in read_metrics(broken)]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS
