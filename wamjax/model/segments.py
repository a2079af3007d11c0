"""A sequence is a list of segments: named runs of tokens with integer attributes.

Everything that depends on *what a token is* (who sees it, its noise level, its rotary position, its
parameters, whether it is cached) is derived from these attributes by tables.
"""

import dataclasses
from typing import Literal

import numpy as np

Stream = Literal[
    "text", "video", "action", "proprio", "feature", "value", "register", "image", "word"
]
Copy = Literal["clean", "noisy", "cond", "query"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """A run of `frames * rows * columns` tokens.

    Attributes:
        stream: what the tokens carry.
        copy: clean (given), noisy (being denoised), cond (given after having been predicted), or
            query (a placeholder whose prediction is read in one pass).
        frames: time steps in the segment.
        rows, columns: the spatial grid of each time step; 1 x 1 for streams without one.
        start, stride: time of the first step, and between steps, in control ticks from now.
        block: time block; 0 is the history, 1 the first predicted block.
        view: the camera, for video and feature tokens.
        corner: (row, column) of the first cell; (-1, -1) keeps tokens without a grid apart.
    """

    stream: Stream
    copy: Copy = "clean"
    frames: int = 1
    rows: int = 1
    columns: int = 1
    start: float = 0.0
    stride: float = 1.0
    block: int = 0
    view: int = 0
    corner: tuple[float, float] = (0.0, 0.0)

    @property
    def count(self) -> int:
        return self.frames * self.rows * self.columns

    @property
    def predicted(self) -> bool:
        """Whether something is read out at its tokens."""
        return self.copy in ("noisy", "query")

    @property
    def kind(self) -> str:
        """The name that visibility tables use, for example "video/noisy"."""
        return f"{self.stream}/{self.copy}"


@dataclasses.dataclass(frozen=True)
class TokenTable:
    """The attributes of N tokens: `segment`, `block`, `view` int [N]; `position` float [N, 3]."""

    segment: np.ndarray
    block: np.ndarray
    view: np.ndarray
    position: np.ndarray


def token_table(segments: tuple[Segment, ...]) -> TokenTable:
    """Spread the attributes of the segments over their tokens.

    Positions are (time in control ticks, row, column); streams without a grid stand at row and
    column 0.
    """
    position = []
    for item in segments:
        time, row, column = np.meshgrid(
            item.start + item.stride * np.arange(item.frames),
            item.corner[0] + np.arange(item.rows),
            item.corner[1] + np.arange(item.columns),
            indexing="ij",
        )
        position.append(np.stack([time.ravel(), row.ravel(), column.ravel()], axis=-1))
    counts = [item.count for item in segments]
    return TokenTable(
        np.repeat(np.arange(len(segments)), counts),
        np.repeat([item.block for item in segments], counts),
        np.repeat([item.view for item in segments], counts),
        np.concatenate(position).astype(np.float32),
    )
