"""A run on a Ray cluster (KubeRay, Anyscale, `ray up`, by hand): one process a node.

    pip install "ray[default]"
    python launch/ray_job.py submit --address http://HEAD:8265 --hosts 4 --gpus 8 -- \
        --config configs/bridge_tiny.py --config.data.dir=SHARED/data --workdir SHARED/runs/bridge

After `--` come the flags of `wamjax train`. `submit` is called from the checkout, which travels
with the job (wamjax itself is in the nodes' image), and follows the log until the end; --dry-run
prints what would be submitted. On the cluster the job runs `work`, which puts one actor on each of
the hosts, tells each who the others are, and starts `wamjax train` there. A host that dies ends the
visit of all; the next goes on from the last checkpoint, at most --max-deaths times. `ray job stop`
sends SIGTERM: all save at the same step (with RAY_JOB_STOP_WAIT_TIME_S=600 on the head node; by
default Ray waits for 3 seconds).

--cpus and --gpus are a host's; --resource TPU=4 and the like name others.
Cost: hosts x hours. `wamjax plan` tells whether the run fits.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
UNFINISHED, MISTAKE, DIED = 75, 2, 1


def arguments() -> argparse.ArgumentParser:
    """Flags of the two halves."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    halves = parser.add_subparsers(dest="half", required=True)
    for name in ("submit", "work"):
        half = halves.add_parser(name)
        half.add_argument("--hosts", type=int, required=True)
        half.add_argument("--cpus", type=float, default=1.0, help="of a host, by default 1")
        half.add_argument("--gpus", type=float, default=0.0, help="of a host, by default 0")
        half.add_argument("--resource", action="append", default=[], metavar="NAME=COUNT")
        half.add_argument("--max-deaths", type=int, default=3)
        half.add_argument("flags", nargs="+", help="after --: flags of `wamjax train`")
        if name == "submit":
            half.add_argument("--address", default="http://127.0.0.1:8265")
            half.add_argument("--dry-run", action="store_true")
            half.add_argument("--no-follow", action="store_true", help="return at once")
    return parser


def job(args: argparse.Namespace) -> dict[str, Any]:
    """What `JobSubmissionClient.submit_job` is given."""
    words = ["python", "launch/ray_job.py", "work", f"--hosts={args.hosts}"]
    words += [f"--cpus={args.cpus:g}", f"--gpus={args.gpus:g}", f"--max-deaths={args.max_deaths}"]
    words += [f"--resource={named}" for named in args.resource]
    return {
        "entrypoint": shlex.join([*words, "--", *args.flags]),
        "runtime_env": {
            "working_dir": str(ROOT),
            # What a run does not read.
            "excludes": [".git", ".venv", "runs", "docs", "notebooks", "tests"],
        },
        "metadata": {"wamjax": shlex.join(args.flags)},
    }


def submit(args: argparse.Namespace) -> int:
    """Hand the job in and follow it."""
    wanted = job(args)
    if args.dry_run:
        print(json.dumps(wanted, indent=2))
        return 0
    from ray.job_submission import JobStatus, JobSubmissionClient

    client = JobSubmissionClient(args.address)
    name = client.submit_job(**wanted)
    print(f"ray: {name}; end it with: ray job stop --address {args.address} {name}")
    if args.no_follow:
        return 0
    seen = 0
    while True:
        ended = client.get_job_status(name).is_terminal()
        text = client.get_job_logs(name)
        print(text[seen:], end="", flush=True)
        seen = len(text)
        if ended:
            return 0 if client.get_job_status(name) == JobStatus.SUCCEEDED else DIED
        time.sleep(2)


def bundle(args: argparse.Namespace) -> dict[str, float]:
    """Ray's resources of one host."""
    named = dict(pair.split("=") for pair in args.resource)
    wanted = {"CPU": args.cpus, "GPU": args.gpus} | {key: float(named[key]) for key in named}
    return {key: count for key, count in wanted.items() if count}


class Host:
    """One node's process; an actor, so that it can be asked while the process runs."""

    def address(self) -> str:
        """Where process 0 will listen, if this is its node."""
        import ray

        with socket.socket() as listener:
            listener.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{listener.getsockname()[1]}"

    def start(self, flags: list[str], coordinator: str, count: int, index: int) -> None:
        """Start `wamjax train` as one of `count`; its output is the actor's, so Ray shows it."""
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "JAX_COORDINATOR_ADDRESS": coordinator,
            "JAX_NUM_PROCESSES": str(count),
            "JAX_PROCESS_ID": str(index),
        }
        self.process = subprocess.Popen(["wamjax", "train", *flags], env=environment)

    def ended(self) -> int | None:
        """The exit code, or None while it runs."""
        return self.process.poll()

    def ask_to_end(self, number: int) -> None:
        """Send the signal."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


def visit(args: argparse.Namespace, asked: list[int]) -> int:
    """One start of all hosts, until all have ended or one has died.

    Args:
        asked: holds SIGTERM's number once it has come.

    Returns:
        `wamjax train`'s exit code.
    """
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    share = bundle(args)
    # One process a node: a bundle a node, all or none.
    group = placement_group([share] * args.hosts, strategy="STRICT_SPREAD")
    print(f"ray: waiting for {args.hosts} hosts with {share}", flush=True)
    ray.get(group.ready())
    others = {key: count for key, count in share.items() if key not in ("CPU", "GPU")}
    hosts: list[Any] = []
    try:
        hosts = [
            ray.remote(Host)
            .options(
                num_cpus=args.cpus,
                num_gpus=args.gpus,
                resources=others,
                scheduling_strategy=PlacementGroupSchedulingStrategy(group, index),
            )
            .remote()
            for index in range(args.hosts)
        ]
        coordinator = ray.get(hosts[0].address.remote())
        ray.get(
            [
                host.start.remote(args.flags, coordinator, args.hosts, index)
                for index, host in enumerate(hosts)
            ]
        )
        told = False
        while True:
            codes = ray.get([host.ended.remote() for host in hosts])
            died = [code for code in codes if code not in (None, 0, UNFINISHED)]
            if died:
                return died[0]
            if None not in codes:
                return max(codes)
            if asked and not told:
                ray.get([host.ask_to_end.remote(asked[0]) for host in hosts])
                told = True
            time.sleep(1)
    except ray.exceptions.RayActorError as error:
        print(f"ray: a host is gone: {error}", flush=True)
        return DIED
    finally:
        # A process that is left would wait for the dead one.
        killed = [host.ask_to_end.remote(signal.SIGKILL) for host in hosts]
        if killed:
            ray.wait(killed, num_returns=len(killed), timeout=30)
        remove_placement_group(group)


def work(args: argparse.Namespace) -> int:
    """On the cluster: visits until the run is finished."""
    import ray

    asked: list[int] = []
    ray.init()
    # After ray.init, which sets a handler of its own.
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    deaths = 0
    while True:
        code = visit(args, asked)
        print(f"ray: wamjax train ended with {code}", flush=True)
        if asked or code in (0, MISTAKE):
            return code
        if code != UNFINISHED:
            deaths += 1
            if deaths > args.max_deaths:
                return code


def main(argv: list[str] | None = None) -> int:
    """One of the two halves."""
    args = arguments().parse_args(argv)
    return submit(args) if args.half == "submit" else work(args)


if __name__ == "__main__":
    sys.exit(main())
