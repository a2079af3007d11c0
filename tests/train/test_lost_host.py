"""A host is killed, or cannot save: what the others do, and that nothing is lost."""

import pathlib
import re
import time

import pytest

from tests.train.test_two_hosts import ended, said, start
from tests.train.two_hosts import log_of
from wamjax.core.files import read_json
from wamjax.train.intact import fault, steps_in

STEPS = 30
# Hosts, and the mesh axis `tensor`, which then lies across two of them.
MESHES = [(2, 1), (4, 2)]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Group:
    """Runs by so many hosts."""

    def __init__(self, folder: pathlib.Path, hosts: int = 2, tensor: int = 1):
        self.folder, self.hosts = folder, hosts
        self.settings = {"TOY_STEPS": str(STEPS), "TOY_TENSOR": str(tensor)}
        self.settings["TF_CPP_MIN_LOG_LEVEL"] = "3"

    def start(self, name: str, **settings: str):
        return start(self.folder / name, hosts=self.hosts, **self.settings, **settings)

    def finish(self, name: str, **settings: str) -> str:
        """Run to the end; the bits of the last state."""
        assert ended(self.start(name, **settings)) == [0] * self.hosts, said(self.folder / name)
        return read_json(self.folder / name / "final.json")["state_sha256"]

    def kill_one(self, name: str, victim: int) -> list[int]:
        """Kill one after two checkpoints; the exit codes of all."""
        processes = self.start(name, TOY_DELAY="0.2")
        folder = self.folder / name / "checkpoints"
        deadline = time.monotonic() + 300
        while len(steps_in(folder)) < 2 and time.monotonic() < deadline:
            assert all(process.poll() is None for process in processes), said(self.folder / name)
            time.sleep(0.02)
        processes[victim].kill()
        began = time.monotonic()
        codes = ended(processes)
        # Not the five minutes that jax would wait.
        assert time.monotonic() - began < 60
        assert steps_in(folder)[-1] < STEPS
        assert all(fault(folder / str(step)) is None for step in steps_in(folder))
        return codes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return Group(tmp_path_factory.mktemp("whole")).finish("whole")


@pytest.mark.parametrize(("hosts", "tensor"), MESHES)
def test_the_others_end_with_a_sentence_and_go_on_with_the_same_bits(
    hosts: int, tensor: int, tmp_path: pathlib.Path
):
    group = Group(tmp_path, hosts, tensor)
    codes = group.kill_one("broken", hosts - 1)
    assert codes == [1] * (hosts - 1) + [-9], said(tmp_path / "broken")
    for index in range(hosts - 1):
        last = log_of(tmp_path / "broken", index).read_text().strip().splitlines()[-1]
        assert re.match(rf"host {index} of {hosts} ends \(\w+: .*[Gg]loo", last)
        assert last.endswith("The same command goes on from the last checkpoint.")
    newest = steps_in(tmp_path / "broken" / "checkpoints")[-1]
    assert group.finish("broken") == group.finish("whole")
    assert f"goes on from step {newest} of {STEPS}" in said(tmp_path / "broken")


def test_the_first_host_is_killed_and_the_other_does_not_wait_for_it(
    whole: str, tmp_path: pathlib.Path
):
    group = Group(tmp_path)
    codes = group.kill_one("broken", 0)
    # jax ends a host that has lost the first one by SIGABRT; it may be a little later than we are.
    assert codes[1] in (1, -6), said(tmp_path / "broken")
    assert "another task died" in said(tmp_path / "broken") or codes[1] == 1
    assert group.finish("broken") == whole


@pytest.mark.parametrize("sick", [0, 1])
def test_a_save_that_fails_on_one_host_has_failed_on_all_and_the_run_goes_on(
    sick: int, whole: str, tmp_path: pathlib.Path
):
    group = Group(tmp_path)
    assert group.finish("full", TOY_HARM=f"{sick}:full@12", TOY_DELAY="0.02") == whole
    told = log_of(tmp_path / "full", 0).read_text()
    failed = re.findall(rf"checkpoint of step (\d+) could not be saved \(host {sick}: ", told)
    assert 1 <= len(failed) <= 3, told
    assert all(int(step) in (5, 10, 15, 20) for step in failed)
    folder = tmp_path / "full" / "checkpoints"
    assert steps_in(folder) == [STEPS - 5, STEPS]
    assert all(fault(folder / str(step)) is None for step in steps_in(folder))


@pytest.mark.parametrize("sick", [0, 1])
def test_a_last_save_that_fails_on_one_host_is_an_error_of_all_and_nothing_is_lost(
    sick: int, whole: str, tmp_path: pathlib.Path
):
    group = Group(tmp_path)
    harm = {"TOY_HARM": f"{sick}:full@{STEPS}", "TOY_DELAY": "0.1"}
    assert ended(group.start("full", **harm)) == [2, 2], said(tmp_path / "full")
    stands = steps_in(tmp_path / "full" / "checkpoints")[-1]
    # The save before it may have been under way still when the disk was full.
    assert stands in (STEPS - 10, STEPS - 5)
    for index in range(2):
        told = log_of(tmp_path / "full", index).read_text().splitlines()
        (line,) = [line for line in told if line.startswith(f"step {STEPS} could not be saved in")]
        assert f"that of step {stands} stands; make room" in line
    assert "trying once more" in said(tmp_path / "full")
    assert group.finish("full") == whole
