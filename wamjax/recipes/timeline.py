"""Which recorded frame and which recorded action each token of a sequence stands for.

frames    the times of all video tokens, in order, are consecutive latent frames; "now" is the
          newest one that is given when a chunk is sampled
features  each block of those that are given is a frame up to now; of those that answer with the
          next frame's (queries), the first block is now
actions   the times of all action tokens, in order, are consecutive control ticks; the first one
          that is sampled is the one executed now, those before it lie in the past
"""

import dataclasses
import functools

import numpy as np

from wamjax.model.segments import Segment
from wamjax.recipes.blueprint import Blueprint, Learning


def times(segment: Segment) -> np.ndarray:
    """Time of each step of a segment, float [frames]."""
    return segment.start + segment.stride * np.arange(segment.frames)


def _ranked(segments: list[Segment]) -> list[float]:
    """All times, each once, rounded so that equal ones are equal."""
    return sorted({round(float(t), 6) for segment in segments for t in times(segment)})


@dataclasses.dataclass(frozen=True)
class Timeline:
    """The clock of a blueprint's sequences."""

    blueprint: Blueprint

    @property
    def learning(self) -> Learning:
        """How the blueprint is trained."""
        return self.blueprint.learning

    @functools.cached_property
    def sampled(self) -> tuple[Segment, ...]:
        """Every segment that stands in the sequence while a chunk is sampled."""
        phases = self.blueprint.program
        return (*self.blueprint.given, *(s for phase in phases for s in phase.segments))

    def _of(self, stream: str) -> list[Segment]:
        both = (*self.blueprint.training.segments, *self.sampled)
        return [segment for segment in both if segment.stream == stream]

    @functools.cached_property
    def _frames(self) -> list[float]:
        return _ranked(self._of("video"))

    @functools.cached_property
    def _now(self) -> int:
        """Rank of the newest given frame; -1 if the video holds the future alone."""
        given = [s for s in self.sampled if s.stream == "video" and s.copy == "clean"]
        return self._frames.index(_ranked(given)[-1]) if given else -1

    @functools.cached_property
    def _looks(self) -> list[int]:
        """Blocks of the given feature tokens: one for each frame that is looked at."""
        return sorted({s.block for s in self._of("feature") if s.copy != "query"})

    @functools.cached_property
    def _answers(self) -> list[int]:
        """Blocks of the feature tokens that answer with the features of the next frame."""
        return sorted({s.block for s in self._of("feature") if s.copy == "query"})

    @property
    def history(self) -> int:
        """Frames up to now that the sequences need, at least one."""
        if self.learning.painted:
            return 1
        return max(1, self._now + 1, len(self._looks))

    @property
    def future(self) -> int:
        """Frames after now that the training sequence holds."""
        if self.learning.painted:
            return 1
        return len(self._frames) - 1 - self._now if self._frames else len(self._answers)

    def frames(self, segment: Segment) -> np.ndarray:
        """Index of each step's frame among `history` + `future`, int [frames]."""
        ranks = [self._frames.index(round(float(t), 6)) for t in times(segment)]
        return np.asarray(ranks) - self._now + self.history - 1

    def look(self, segment: Segment) -> int:
        """Index of the frame that a segment of features is made of; the newest given one is now."""
        if segment.copy == "query":
            return self.history - 1 + self._answers.index(segment.block)
        return self.history - len(self._looks) + self._looks.index(segment.block)

    @functools.cached_property
    def _actions(self) -> tuple[list[float], int]:
        ranked = _ranked(self._of("action"))
        steps = [p.segments for p in self.blueprint.program]
        walked = [s for part in steps for s in part if s.stream == "action"]
        return ranked, ranked.index(_ranked(walked)[0]) if walked else 0

    @property
    def past_actions(self) -> int:
        """Actions before now for which the sequences have tokens."""
        return self._actions[1]

    def actions(self, segment: Segment) -> np.ndarray:
        """Control tick of each action token from now on, int [frames]; below 0 in the past."""
        ranked, first = self._actions
        return np.asarray([ranked.index(round(float(t), 6)) for t in times(segment)]) - first

    def reference(self, segment: Segment) -> int:
        """Index of the newest frame before the segment's time block: what a change is counted from.

        Before the first frame there is none, and the first one stands in; see `follows`.
        """
        return max(0, self._before(segment))

    def follows(self, segment: Segment) -> bool:
        """Whether a frame stands before the segment's time block, so that it can be predicted."""
        return self._before(segment) >= 0

    def _before(self, segment: Segment) -> int:
        same = [s for s in self._of("video") if s.copy != "clean" and s.block == segment.block]
        return int(min(self.frames(s)[0] for s in same)) - 1
