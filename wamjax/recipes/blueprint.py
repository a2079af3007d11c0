"""What a recipe builds: a model, the sequences it is trained and sampled on, losses, a program.

train    training sequence -> model -> one loss per predicted stream
sample   prefill(given segments) -> phases, each a walk of some streams over noise levels
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from wamjax.model.config import WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream

Kind = Literal["VLA", "VLA + RL", "hybrid", "WAM"]
Size = Literal["full", "tiny"]
Coupling = Literal["trunk", "latent_frame", "mot", "layer_cross", "tap_cross", "none"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """How long the sequences are and how wide their values.

    Attributes:
        words, text: tokens of the instruction, and width of the text encoder's states (the size of
            the vocabulary where words enter through a table).
        views, rows, columns: cameras, and the grid of video (or image) tokens of a frame.
        past, future: latent frames given, and predicted.
        latent: values of a video token.
        chunk, action, proprio: actions predicted at once, and widths.
    """

    words: int
    text: int
    views: int = 1
    rows: int
    columns: int
    past: int = 1
    future: int = 2
    latent: int
    chunk: int
    action: int
    proprio: int

    @property
    def grid(self) -> dict[str, Any]:
        """Rows and columns of a video segment."""
        return {"rows": self.rows, "columns": self.columns}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of the sampler program.

    Attributes:
        segments: what stands behind the cached segments meanwhile, noisy (or queries).
        levels: stream -> (noise level at the start, at the end); a stream whose level does not
            change is held.
        steps: solver steps, one pass through what the streams need each; without levels, passes
            that each read one more word of a run that is causal.
        guidance: passes per step (2 with classifier-free guidance).
        writes: segments that hold the phase's results and are added to the cache behind it (one
            pass more), for later phases to see.
    """

    segments: tuple[Segment, ...]
    levels: tuple[tuple[Stream, float, float], ...] = ()
    steps: int = 1
    guidance: int = 1
    writes: tuple[Segment, ...] = ()

    @property
    def passes(self) -> int:
        """Forward passes, guidance and writing included."""
        return self.guidance * (self.steps + bool(self.writes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blueprint:
    """A published system as values.

    Attributes:
        model: stacks, experts and ports.
        features: stream -> width of its values.
        training: the sequence of a training example, noisy copies and all.
        given: the segments that are prefilled once when a chunk is sampled.
        program: the phases that follow, one chunk.
        answers: the streams that a policy needs.
    """

    model: WamConfig
    features: tuple[tuple[Stream, int], ...]
    training: Layout
    given: tuple[Segment, ...]
    program: tuple[Phase, ...]
    answers: tuple[Stream, ...] = ("action",)

    def sampling(self, phase: int) -> Layout:
        """The whole sequence during a phase: given, written before, and the phase's own."""
        written = tuple(s for done in self.program[:phase] for s in done.writes)
        segments = (*self.given, *written, *self.program[phase].segments)
        return dataclasses.replace(self.training, segments=segments)

    @property
    def passes(self) -> int:
        """Forward passes for a chunk: the prefill, then those of every phase."""
        return bool(self.given) + sum(phase.passes for phase in self.program)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A published system: how to build it, and what is known about it.

    Attributes:
        name: as on the command line.
        kind, coupling, objective: what it is.
        source: arXiv id and repository.
        parts: what `build("full")` holds.
        published: the published count of its parameters, with its digits, such as "5.9 B"; None
            where none is published.
        deviations: what differs from the publication, and what could not be verified.
        build: (size) -> blueprint, or (size, form).
        forms: what `build` takes as its second argument, the usual one first.
    """

    name: str
    kind: Kind
    coupling: Coupling
    objective: str
    source: str
    parts: str
    published: str | None
    deviations: tuple[str, ...]
    build: Callable[..., Blueprint]
    forms: tuple[str, ...] = ()

    def agrees(self, parameters: int) -> bool:
        """Whether a count is within 2 % of the published one, or within half of its last digit."""
        if self.published is None:
            return True
        number, unit = self.published.split()
        scale = {"M": 1e6, "B": 1e9}[unit]
        digits = len(number.partition(".")[2])
        tolerance = max(0.02 * float(number), 0.5 * 10.0**-digits)
        return abs(parameters / scale - float(number)) <= tolerance
