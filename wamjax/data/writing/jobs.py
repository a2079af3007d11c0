"""One shard to be made, with all that making it takes: plain values, for a process of its own."""

import dataclasses
import functools
import pathlib

from wamjax.core.pool import Tick
from wamjax.data.cards.card import Card
from wamjax.data.files.schema import Feature
from wamjax.data.sources.kinds import open_source
from wamjax.data.sources.source import Source
from wamjax.data.writing.plan import Part
from wamjax.data.writing.recoding import Form
from wamjax.data.writing.shard import Shard, write_shard


@dataclasses.dataclass(frozen=True)
class Job:
    """A part, what is kept of it and how, and the folder it goes to."""

    part: Part
    features: dict[str, Feature]
    card: Card | None
    images: Form
    folder: pathlib.Path


@functools.lru_cache(maxsize=4)
def opened(directory: str, split: str) -> Source:
    """Opened once by each process that works on it."""
    return open_source(directory, split)


def make_part(job: Job, tick: Tick) -> Shard:
    """Write one shard; the same bytes wherever and whenever it is called."""
    part = job.part
    source, numbers = opened(part.directory, part.split), range(part.first, part.last)
    return write_shard(source, numbers, job.features, job.card, job.images, job.folder, tick)
