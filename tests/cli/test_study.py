"""`wamjax study`: what it refuses, what it plans and emits; and a small one, run whole (slow)."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from wamjax.cli.main import main
from wamjax.cli.study_jobs import places
from wamjax.core.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = str(ROOT / "tests" / "cli" / "small_study.py")
HEAD = "import dataclasses\nfrom tests.cli.small_study import arm, get_study as small\n"

pytestmark = pytest.mark.usefixtures("one_device")


def refused(capsys, argv, *words):
    """Run, and look at the one sentence on standard error."""
    assert main(argv) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "Traceback" not in error
    for word in words:
        assert word in error, error


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], ("needs --workdir DIR, or --dry-run",)),
        (["--workdir", "w", "--arms", "nobody"], ("--arms", "'nobody'", "direct, cotrain")),
        (["--workdir", "w", "--seeds", "0"], ("--seeds must be at least 1",)),
        (["--workdir", "w", "--parallel", "0"], ("--parallel must be at least 1",)),
        (["--workdir", "w", "--unmatched", "luck"], ("--unmatched", "'luck'")),
        (["--workdir", "w", "--stage", "arms", "--page", "p"], ("--page shows the report",)),
        (["--workdir", "w", "--topology", "v5p-8"], ("--topology needs --dry-run",)),
        (["--workdir", "w", "--detect", "5"], ("--detect needs --dry-run",)),
        (["--dry-run", "--detect", "0"], ("no plan for these numbers",)),
        (["--workdir", "w", "--config.name=x"], ("takes no --config.name",)),
    ],
)
def test_flags_that_do_not_go_together(flags, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(capsys, ["study", SMALL, *flags], *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def get_study(size):\n    return 3\n", ("gives no Study",)),
        ("x = 1\n", ("has no get_study",)),
        ("import nothing_of_that_name\n", ("does not run", "correct it")),
        (
            HEAD + "def get_study(size):\n"
            "    return dataclasses.replace(small(size), against='nobody')\n",
            ("there is no arm 'nobody'",),
        ),
        (
            HEAD + "def get_study(size):\n"
            "    return dataclasses.replace(small(size), arms=(arm('direct'), arm('joint', 9)))\n",
            ("not matched in budget", "joint takes 9 steps, direct 12", "--unmatched budget"),
        ),
    ],
)
def test_files_that_are_no_study(text, words, capsys, tmp_path):
    file = tmp_path / "study.py"
    file.write_text(text)
    refused(capsys, ["study", str(file), "--workdir", str(tmp_path / "w")], *words)
    assert not (tmp_path / "w").exists()


def test_what_may_differ_is_told(capsys, tmp_path):
    file = tmp_path / "study.py"
    file.write_text(
        HEAD + "def get_study(size):\n"
        "    return dataclasses.replace(small(size), arms=(arm('direct'), arm('joint', 9)))\n"
    )
    assert main(["study", str(file), "--dry-run", "--unmatched", "budget"]) == 0
    assert "joint takes 9 steps, direct 12" in capsys.readouterr().out


def test_a_dry_run_counts_and_writes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["study", SMALL, "--dry-run", "--detect", "5", "--rate", "0.8"]) == 0
    told = capsys.readouterr().out
    assert "4 runs: 2 arms, 1 training data, 2 seeds; 2 conditions, compared with direct" in told
    # Worlds: 4 clean and 2 of each axis; conditions x seeds x worlds.
    assert "8 worlds" in told
    assert "32 episodes" in told
    assert "matched: the same windows" in told
    assert "FLOP" in told
    assert "each of two policies needs 906 episodes" in told
    assert not list(tmp_path.iterdir())


def test_slurm_jobs_are_shell_and_do_every_arm(capsys, tmp_path):
    work = tmp_path / "a b"
    assert main(["study", SMALL, "--workdir", str(work), "--seeds", "1", "--emit", "slurm"]) == 0
    assert "submit.sh" in capsys.readouterr().out
    jobs = work / "small" / "jobs"
    for name in ("prepare.sbatch", "arms.sbatch", "report.sbatch", "submit.sh"):
        subprocess.run(["bash", "-n", jobs / name], check=True)
        subprocess.run(
            [pathlib.Path(sys.executable).with_name("shellcheck"), jobs / name], check=True
        )
    arms = (jobs / "arms.sbatch").read_text()
    assert "#SBATCH --array=0-1\n" in arms
    assert "arms=(direct cotrain)" in arms
    assert "--stage arms" in arms
    assert "--seeds 1" in arms


def test_a_jobset_has_an_arm_a_job_in_order(capsys, tmp_path):
    assert main(["study", SMALL, "--workdir", str(tmp_path), "--emit", "jobset"]) == 0
    assert "kubectl apply" in capsys.readouterr().out
    content = json.loads((tmp_path / "small" / "jobs" / "jobset.json").read_text())
    jobs = {job["name"]: job for job in content["spec"]["replicatedJobs"]}
    assert list(jobs) == ["prepare", "arm-direct", "arm-cotrain", "report"]
    behind = {
        name: [other["name"] for other in job["dependsOn"]] if "dependsOn" in job else []
        for name, job in jobs.items()
    }
    assert behind["prepare"] == []
    assert behind["arm-direct"] == ["prepare"]
    assert behind["report"] == ["arm-direct", "arm-cotrain"]
    words = jobs["arm-cotrain"]["template"]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert words[-2:] == ["--arms", "cotrain"]


def test_gpus_are_shared_out(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    assert [place["CUDA_VISIBLE_DEVICES"] for place in places(2)] == ["0,1", "2,3"]
    with pytest.raises(UserError, match="--parallel 5 needs as many GPUs, and there are 4"):
        places(5)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert places(2) == [{}, {}]


def study(workdir, *flags):
    """The command as a process."""
    words = [sys.executable, "-m", "wamjax", "study", SMALL, "--workdir", str(workdir), *flags]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_study_runs_goes_on_where_it_was_and_checks(tmp_path, capsys):
    whole, again = tmp_path / "whole", tmp_path / "again"
    process = study(whole)
    told, _ = process.communicate()
    assert process.returncode == 0, told.decode()
    for name in ("study.html", "study.json", "episodes.csv.gz", "costs.json", "manifest.json"):
        assert (whole / "small" / name).is_file()

    # Ended inside its first training, then arms beside one another: the same records.
    process = study(again)
    while not (again / "runs" / "direct" / "clean" / "seed0" / "metrics.jsonl").is_file():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 75
    process = study(again, "--parallel", "2", "--page", str(tmp_path / "shown"))
    told, _ = process.communicate()
    assert process.returncode == 0, told.decode()
    records = [(folder / "small" / "episodes.csv.gz").read_bytes() for folder in (whole, again)]
    assert records[0] == records[1]

    # An arm on one machine and the other on another: the same records.
    one, other = tmp_path / "one", tmp_path / "other"
    for words in ((one, "--arms", "direct"), (other, "--also", str(one))):
        process = study(*words)
        told, _ = process.communicate()
        assert process.returncode == 0, told.decode()
    assert (other / "small" / "episodes.csv.gz").read_bytes() == records[0]
    assert not (other / "runs" / "direct").exists()

    # What follows from the records follows; what does not is told.
    shown = tmp_path / "shown" / "small"
    page = (shown.parent / "small.md").read_text()
    assert f"wamjax study {SMALL} --workdir {again}\n" in page
    for picture in re.findall(r"\((small/figures/\w+\.svg)\)", page):
        assert (shown.parent / picture).is_file()
    words = ["study", SMALL, "--workdir", str(shown.parent), "--check"]
    assert main(words) == 0
    found = json.loads((shown / "study.json").read_text())
    found["conditions"]["direct/clean/1/own/source"]["cells"]["clean"]["successes"] += 1
    (shown / "study.json").write_text(json.dumps(found))
    capsys.readouterr()
    refused(capsys, words, "does not follow from its episodes: 1 values differ", "successes")
