"""The shards of a store made by an Apache Beam pipeline, on this machine or on Dataflow.

    parts -> Reshuffle -> make_part, a function of its part alone -> folders -> this machine

Workers leave finished folders where the store is being made, or, without a disk in common, behind
the address of `exchange`, from which they come back. What follows is that of any other store, so
its bytes do not depend on who made the shards. Apache Beam is the extra `beam`.
"""

import dataclasses
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from wamjax.core.errors import UserError
from wamjax.data.files.paths import Remote, location
from wamjax.data.writing.jobs import Job, make_part
from wamjax.data.writing.plan import Beam
from wamjax.data.writing.shard import DONE, Shard, read_shard

MISSING = (
    "--beam needs Apache Beam: install the extra in an environment of its own, "
    "`pip install 'wamjax[beam]'`."
)
# In this process: the runner that Beam chooses by itself may download a program.
DEFAULT = ("runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",)


@dataclasses.dataclass(frozen=True)
class Away:
    """A job whose folder is brought to an address when it is whole."""

    job: Job
    to: Remote


def imported() -> tuple[Any, Any]:
    """Apache Beam and its PipelineOptions.

    Raises:
        UserError: it is not installed.
    """
    try:
        import apache_beam  # pyright: ignore[reportMissingImports]
        from apache_beam.options.pipeline_options import (  # pyright: ignore[reportMissingImports]
            PipelineOptions,
        )
    except ImportError as error:
        raise UserError(MISSING) from error
    return apache_beam, PipelineOptions


def spread(
    jobs: Sequence[Job], given: Beam, advance: Callable[[int], None]
) -> Iterator[tuple[Job, Shard]]:
    """Every job and its shard, once the pipeline is through.

    Args:
        jobs: to be done.
        given: options of the pipeline, and the address below which folders are handed over.
        advance: is told how many episodes were done.

    Raises:
        UserError: Beam is not installed, does not know an option, or its pipeline failed.
    """
    beam, PipelineOptions = imported()
    if not jobs:
        return
    work: list[Job | Away] = list(jobs)
    if given.exchange is not None:
        root = location(given.exchange)
        if not isinstance(root, Remote):
            raise UserError(f"--beam-exchange must be an address (gs://...), got {root}.")
        work = [Away(job, root / f"{job.part.split}-{job.part.number:05d}") for job in jobs]
    try:
        options = PipelineOptions([f"--{option}" for option in (*DEFAULT, *given.options)])
        with beam.Pipeline(options=options) as pipeline:
            _ = (
                pipeline
                | "shards" >> beam.Create(work)
                | "spread" >> beam.Reshuffle()
                | "make" >> beam.Map(make)
            )
    except (SystemExit, Exception) as error:
        told = str(error).strip().splitlines()
        raise UserError(
            f"The pipeline failed ({told[-1][:300] if told else type(error).__name__}): see to "
            "it, then start again; shards that are finished are kept."
        ) from error
    for job, one in zip(jobs, work, strict=True):
        if isinstance(one, Away):
            fetch(one)
        shard = read_shard(job.folder)
        if shard is None:
            raise UserError(
                f"The workers left no {job.folder}: share that disk with them, or give "
                "--beam-exchange."
            )
        advance(job.part.episodes)
        yield job, shard


def make(work: Job | Away) -> None:
    """Make one shard where a worker is."""
    if isinstance(work, Job):
        make_part(work, _nothing)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "shard"
        make_part(dataclasses.replace(work.job, folder=folder), _nothing)
        work.to.clear()
        names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        # What tells that it is whole comes last.
        for name in [name for name in names if str(name) != DONE] + [pathlib.Path(DONE)]:
            work.to.put(folder / name, str(name))


def fetch(away: Away) -> None:
    """Bring a finished folder to where the store is being made."""
    folder = away.job.folder
    work = folder.with_name(f".{folder.name}.fetching")
    shutil.rmtree(work, ignore_errors=True)
    for name in away.to.find():
        away.to.get(name, work / name)
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


def _nothing() -> None:
    pass
