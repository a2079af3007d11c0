"""Arms of a study beside one another: processes of this machine, or jobs of a cluster.

Every arm is the same command with `--stage arms --arms NAME`; demonstrations are made before, the
report behind.
"""

import argparse
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from wamjax.cli import main
from wamjax.core.errors import Unfinished, UserError
from wamjax.core.files import write_json, write_text
from wamjax.eval.study.study import Study

KEPT = {"size": "tiny", "seeds": None, "unmatched": "none", "physics": "auto", "also": ""}
"""Flags with a value that every part of a study has, and their defaults."""


def command(args: argparse.Namespace, stage: str, arms: Sequence[str] = ()) -> list[str]:
    """The words behind `wamjax` that do a part of a study; a stage "all" is not said."""
    words = ["study", args.file, "--workdir", str(args.workdir)]
    words += [] if stage == "all" else ["--stage", stage]
    for name, usual in KEPT.items():
        value = getattr(args, name)
        if value != usual:
            words += [f"--{name}", str(value)]
    if args.equal_flops:
        words.append("--equal-flops")
    if arms:
        words += ["--arms", ",".join(arms)]
    return words


def in_parallel(args: argparse.Namespace, chains: Sequence[Sequence[str]]) -> None:
    """Run each arm as a process, so many at a time; each has its share of the GPUs or cores.

    What an arm says goes to WORKDIR/logs/ARM.log, with what those say that go on from it.

    Raises:
        UserError: an arm failed; the others are finished first.
        Unfinished: SIGTERM came, and all arms have saved.
    """
    logs = pathlib.Path(args.workdir) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    shares = places(args.parallel)
    waiting, free = list(chains), list(range(len(shares)))
    running: dict[int, tuple[str, subprocess.Popen]] = {}
    failed, ending = [], False

    def end(*given: object) -> None:
        nonlocal ending
        del given
        ending = True
        for _, process in running.values():
            process.send_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    try:
        while waiting or running:
            while waiting and free and not ending:
                place, chain = free.pop(), waiting.pop(0)
                words = [sys.executable, "-m", "wamjax", *command(args, "arms", chain)]
                arm = chain[0]
                with open(logs / f"{arm}.log", "ab") as log:
                    process = subprocess.Popen(
                        words, stdout=log, stderr=log, env=os.environ | shares[place]
                    )
                running[place] = (arm, process)
                print(f"{arm}: started, see {logs / arm}.log", file=sys.stderr, flush=True)
            if ending and not running:
                raise Unfinished
            time.sleep(0.2)
            for place, (arm, process) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[place]
                free.append(place)
                print(f"{arm}: {ended(process.returncode)}", file=sys.stderr, flush=True)
                if process.returncode not in (0, main.UNFINISHED):
                    failed.append(arm)
    except KeyboardInterrupt:
        end()
        for _, process in running.values():
            process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    if failed:
        raise UserError(
            f"{', '.join(failed)} failed, see {logs}; the same command goes on, the others kept."
        )


def ended(code: int) -> str:
    """How an arm ended, by its exit code."""
    match code:
        case 0:
            return "done"
        case main.UNFINISHED:
            return "saved"
        case _:
            return f"failed with {code}"


def places(count: int) -> list[Mapping[str, str]]:
    """What each of so many processes is told: its GPUs, where there are any."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = listed.split(",") if listed else [str(n) for n in range(_gpus())]
    if gpus and gpus != [""]:
        if count > len(gpus):
            raise UserError(f"--parallel {count} needs as many GPUs, and there are {len(gpus)}.")
        each = len(gpus) // count
        return [
            {"CUDA_VISIBLE_DEVICES": ",".join(gpus[n * each : (n + 1) * each])}
            for n in range(count)
        ]
    return [{}] * count


def _gpus() -> int:
    """GPUs of this machine; asked without jax, which would take their memory."""
    return len(list(pathlib.Path("/proc/driver/nvidia/gpus").glob("*")))


def every_chain(study: Study) -> list[tuple[str, ...]]:
    """What must follow one another, of all arms."""
    return study.chains(arm.name for arm in study.arms)


def slurm(args: argparse.Namespace, study: Study) -> str:
    """Three job files and one that submits them in order; what to do next."""
    folder = pathlib.Path(args.workdir) / study.name / "jobs"
    arms = [",".join(chain) for chain in every_chain(study)]
    head = "#!/usr/bin/env bash\n#SBATCH --requeue\n#SBATCH --signal=TERM@300\n"
    head += f"#SBATCH --open-mode=append\n#SBATCH --output={folder}/%x-%j.out\n"
    # 75 has saved and goes on.
    tail = (
        '|| { status=$?; [ "$status" = 75 ] && scontrol requeue "$SLURM_JOB_ID"; exit "$status"; }'
        "\n"
    )
    names = " ".join(map(shlex.quote, arms))
    files = {
        "prepare": f"srun wamjax {shlex.join(command(args, 'prepare'))}\n",
        "arms": f"arms=({names})\n"
        f"srun wamjax {shlex.join(command(args, 'arms'))} "
        f'--arms "${{arms[$SLURM_ARRAY_TASK_ID]}}" {tail}',
        "report": f"srun wamjax {shlex.join(command(args, 'report'))}\n",
    }
    for name, body in files.items():
        array = f"#SBATCH --array=0-{len(arms) - 1}\n" if name == "arms" else ""
        job = f"#SBATCH --job-name={study.name}-{name}\n#SBATCH --ntasks=1\n"
        write_text(folder / f"{name}.sbatch", head + job + array + "set -uo pipefail\n" + body)
    submit = (
        "#!/usr/bin/env bash\n# Flags are sbatch's: bash submit.sh --partition=... --gpus=1\n"
        "set -euo pipefail\n"
        f"cd {shlex.quote(str(pathlib.Path.cwd()))}\n"
        f'first=$(sbatch --parsable "$@" {folder}/prepare.sbatch)\n'
        f'second=$(sbatch --parsable --dependency="afterok:$first" "$@" {folder}/arms.sbatch)\n'
        f'sbatch --dependency="afterok:$second" "$@" {folder}/report.sbatch\n'
    )
    write_text(folder / "submit.sh", submit)
    return f"wrote {folder}; submit with: bash {folder / 'submit.sh'} [flags of sbatch]"


def jobset(args: argparse.Namespace, study: Study) -> str:
    """A JobSet: demonstrations, then an arm a job, then the report; what to do next."""
    folder = pathlib.Path(args.workdir) / study.name / "jobs"
    parts = {"prepare": command(args, "prepare")}
    parts |= {
        f"arm-{chain[0].replace('_', '-').replace('.', '-')}": command(args, "arms", chain)
        for chain in every_chain(study)
    }
    parts["report"] = command(args, "report")
    first, *middle, last = parts
    behind = {first: [], **{name: [first] for name in middle}, last: middle}
    jobs = [_job(name, words, behind[name]) for name, words in parts.items()]
    content = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {"name": study.name.replace("_", "-")},
        "spec": {"failurePolicy": {"maxRestarts": 100}, "replicatedJobs": jobs},
    }
    path = write_json(folder / "jobset.json", content)
    return (
        f"wrote {path} for JobSet v0.8 or later; edit what is in capitals and the resources, "
        f"then: kubectl apply -f {path}"
    )


def _job(name: str, words: list[str], behind: Sequence[str]) -> dict:
    container = {
        "name": "wamjax",
        "image": "REGION-docker.pkg.dev/PROJECT/REPOSITORY/wamjax-gpu:TAG",
        "command": ["wamjax"],
        "args": words,
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 600,
        "containers": [container],
    }
    template = {"spec": {"backoffLimit": 0, "template": {"spec": pod}}}
    job: dict = {"name": name, "replicas": 1, "template": template}
    if behind:
        job["dependsOn"] = [{"name": other, "status": "Complete"} for other in behind]
    return job


EMITTERS: Mapping[str, Callable[[argparse.Namespace, Study], str]] = {
    "slurm": slurm,
    "jobset": jobset,
}
