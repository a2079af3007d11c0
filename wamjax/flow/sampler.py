"""Sampler programs: which stream is denoised when.

A program is a table of phases; a phase gives the noise level at which each stream starts and ends.
A stream whose level does not change is held, and the velocity function still sees it:

    joint               video 1 -> end,  action 1 -> 0               (one walk)
    action_only         video held at 1, action 1 -> 0               (or no video at all)
    video_then_action   video 1 -> end,  action held at 1; then video held, action 1 -> 0
    video_only          video 1 -> end,  action held at 1

`end` above 0 stops the video early (DreamZero-Flash stops at 0.8).
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal, assert_never

import jax.numpy as jnp

from wamjax.core.typing import Array
from wamjax.flow.grid import sigma_grid
from wamjax.flow.solvers import Solver, integrate

Program = Literal["joint", "action_only", "video_then_action", "video_only"]
# stream -> (level at the start, level at the end)
Phase = Mapping[str, tuple[float, float]]
# ({stream: [B, ...]}, {stream: [B]}) -> {stream: [B, ...]}
Velocity = Callable[[dict[str, Array], dict[str, Array]], dict[str, Array]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """How to sample.

    Attributes:
        program: the table of phases.
        steps: solver steps in every phase.
        solver: "euler" or "heun".
        video_shift, action_shift: shift of each stream's sigma grid.
        video_end: the noise level at which the video stops.

    Raises:
        ValueError: no step, a shift that is not positive, or a level outside [0, 1).
    """

    program: Program = "joint"
    steps: int = 10
    solver: Solver = "euler"
    video_shift: float = 1.0
    action_shift: float = 1.0
    video_end: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"a sampler needs at least one step, got {self.steps}")
        if min(self.video_shift, self.action_shift) <= 0:
            raise ValueError("the shifts of a sampler must be positive")
        if not 0 <= self.video_end < 1:
            raise ValueError(f"video_end lies in [0, 1), got {self.video_end}")


def phases(program: Program, video_end: float = 0.0) -> tuple[Phase, ...]:
    """The table of a program."""
    match program:
        case "joint":
            return ({"video": (1.0, video_end), "action": (1.0, 0.0)},)
        case "action_only":
            return ({"video": (1.0, 1.0), "action": (1.0, 0.0)},)
        case "video_then_action":
            return (
                {"video": (1.0, video_end), "action": (1.0, 1.0)},
                {"video": (video_end, video_end), "action": (1.0, 0.0)},
            )
        case "video_only":
            return ({"video": (1.0, video_end), "action": (1.0, 1.0)},)
        case _:
            assert_never(program)


def sample(
    config: SamplerConfig, velocity: Velocity, noise: Mapping[str, Array]
) -> dict[str, Array]:
    """Run the program from `noise`.

    Args:
        config: program, steps, solver, shifts.
        velocity: sees all streams and their noise levels; what it returns for a held stream is
            not used (and computed only if it is needed elsewhere).
        noise: Gaussian draws float32 [B, ...] per stream. A stream that is missing here is left
            out of every phase: a policy without video samples {"action": ...}.

    Returns:
        The streams at the end of the program; a stream held at 1 is still noise.

    Raises:
        ValueError: a stream in `noise` that no program knows, or none that moves.
    """
    shifts = {"video": config.video_shift, "action": config.action_shift}
    if unknown := set(noise) - set(shifts):
        raise ValueError(f"a sampler knows the streams {sorted(shifts)}, got {sorted(unknown)}")
    x = dict(noise)
    moved = False
    for phase in phases(config.program, config.video_end):
        levels = {name: phase[name] for name in x}
        grids = {
            name: sigma_grid(config.steps, shifts[name], start=start, end=end)
            for name, (start, end) in levels.items()
            if start != end
        }
        if grids:
            x |= _walk(velocity, x, levels, grids, config.solver)
            moved = True
    if not moved:
        raise ValueError(f"program {config.program} moves none of the streams {sorted(noise)}")
    return x


def _walk(
    velocity: Velocity,
    x: dict[str, Array],
    levels: Phase,
    grids: dict[str, Array],
    solver: Solver,
) -> dict[str, Array]:
    held = {name: x[name] for name in x if name not in grids}

    def moving_velocity(moving: dict[str, Array], sigma: dict[str, Array]) -> dict[str, Array]:
        some = next(iter(sigma.values()))
        still = {name: jnp.full_like(some, levels[name][0]) for name in held}
        slopes = velocity(held | moving, still | sigma)
        return {name: slopes[name] for name in moving}

    return integrate(moving_velocity, {name: x[name] for name in grids}, grids, solver)
