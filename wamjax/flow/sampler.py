"""Sampler programs: which stream is denoised when.

A program is a table of phases; a phase gives the noise level at which each stream starts and ends.
A stream whose level does not change is held, and the velocity function still sees it:

    joint               video 1 -> end,  action 1 -> 0               (one walk)
    action_only         video held at 1, action 1 -> 0               (or no video at all)
    video_then_action   video 1 -> end,  action held at 1; then video held, action 1 -> 0
    video_only          video 1 -> end,  action held at 1

`end` above 0 stops the video early (DreamZero-Flash stops at 0.8). Any further stream (a value, a
feature) follows one of the two: it moves when that one moves, on its grid.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal, assert_never

import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.typing import Array, Key
from wamjax.flow.grid import edm_grid, sigma_grid
from wamjax.flow.solvers import Solver, check_reuse, integrate
from wamjax.flow.variance_preserving import cosine_grid, spread

Program = Literal["joint", "action_only", "video_then_action", "video_only"]
Leader = Literal["video", "action"]
Grid = Literal["shifted", "cosine", "edm"]
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
        video_steps: solver steps of a phase in which the action is held; None for `steps`.
        solver: see flow.solvers.
        grid: "shifted" (equal steps, shifted), "cosine" (DDPM's schedule) or "edm".
        video_shift, action_shift: shift of each stream's grid, under "shifted".
        edm_highest, edm_lowest: EDM's noise levels between which the grid of "edm" lies.
        video_end: the noise level at which the video stops.
        clip: bound of the state after every step, in units of its spread; None for no bound.
        evaluated: the steps at which the network is asked, rising from 0; those between go on with
            its last answer. Empty for all. It holds for every phase.
        followers: (stream, "video" or "action") of any further stream, and which of the two it
            follows.

    Raises:
        ValueError: no step, a shift that is not positive, a level outside [0, 1), an early end on
            a grid that has none, evaluated steps that a phase does not have or a solver cannot
            reuse, or a stream named twice.
    """

    program: Program = "joint"
    steps: int = 10
    video_steps: int | None = None
    solver: Solver = "euler"
    grid: Grid = "shifted"
    video_shift: float = 1.0
    action_shift: float = 1.0
    edm_highest: float = 80.0
    edm_lowest: float = 4.0
    video_end: float = 0.0
    clip: float | None = None
    evaluated: tuple[int, ...] = ()
    followers: tuple[tuple[str, Leader], ...] = ()

    def __post_init__(self) -> None:
        if self.steps < 1 or (self.video_steps is not None and self.video_steps < 1):
            raise ValueError(
                f"a sampler needs at least one step, got {self.steps} and {self.video_steps}"
            )
        if min(self.video_shift, self.action_shift) <= 0:
            raise ValueError("the shifts of a sampler must be positive")
        if not 0 <= self.video_end < 1:
            raise ValueError(f"video_end lies in [0, 1), got {self.video_end}")
        if self.video_end and self.grid != "shifted":
            raise ValueError(f'only the "shifted" grid may end early, not "{self.grid}"')
        for steps in {self.steps, self.video_steps or self.steps}:
            check_reuse(self.solver, steps, self.evaluated)
        names = ["video", "action", *(name for name, _ in self.followers)]
        if len(set(names)) != len(names):
            raise ValueError(f"each stream follows one other, got {self.followers}")

    @property
    def leaders(self) -> dict[str, Leader]:
        """Whom each stream follows; the two themselves."""
        return {"video": "video", "action": "action", **dict(self.followers)}


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


def grid_of(config: SamplerConfig, leader: Leader, steps: int, start: float, end: float) -> Array:
    """Noise levels of a stream that moves with `leader`, float32 [steps + 1]."""
    shift = {"video": config.video_shift, "action": config.action_shift}[leader]
    match config.grid:
        case "shifted":
            return sigma_grid(steps, shift, start=start, end=end)
        case "cosine":
            return cosine_grid(steps)
        case "edm":
            return edm_grid(steps, highest=config.edm_highest, lowest=config.edm_lowest)
        case _:
            assert_never(config.grid)


def sample(
    config: SamplerConfig,
    velocity: Velocity,
    noise: Mapping[str, Array],
    key: Key | None = None,
) -> dict[str, Array]:
    """Run the program from `noise`.

    Args:
        config: program, steps, solver, grids.
        velocity: sees all streams and their noise levels; what it returns for a held stream is
            not used (and computed only if it is needed elsewhere).
        noise: Gaussian draws float32 [B, ...] per stream. A stream that is missing here is left
            out of every phase: a policy without video samples {"action": ...}.
        key: for a solver that draws, "ddpm".

    Returns:
        The streams at the end of the program; a stream held at 1 is still noise.

    Raises:
        ValueError: a stream in `noise` that no program knows, none that moves, or evaluated steps
            that a phase does not have.
    """
    leaders = config.leaders
    if unknown := set(noise) - set(leaders):
        raise ValueError(f"a sampler knows the streams {sorted(leaders)}, got {sorted(unknown)}")
    x = dict(noise)
    moved = False
    for number, phase in enumerate(phases(config.program, config.video_end)):
        held_action = phase["action"][0] == phase["action"][1]
        steps = (held_action and config.video_steps) or config.steps
        levels = {name: phase[leaders[name]] for name in x}
        grids = {
            name: grid_of(config, leaders[name], steps, start, end)
            for name, (start, end) in levels.items()
            if start != end
        }
        if grids:
            own = None if key is None else named_keys(key, f"phase{number}")[f"phase{number}"]
            x |= _walk(config, velocity, x, levels, grids, own)
            moved = True
    if not moved:
        raise ValueError(f"program {config.program} moves none of the streams {sorted(noise)}")
    return x


def _walk(
    config: SamplerConfig,
    velocity: Velocity,
    x: dict[str, Array],
    levels: Phase,
    grids: dict[str, Array],
    key: Key | None,
) -> dict[str, Array]:
    held = {name: x[name] for name in x if name not in grids}

    def moving_velocity(moving: dict[str, Array], sigma: dict[str, Array]) -> dict[str, Array]:
        some = next(iter(sigma.values()))
        still = {name: jnp.full_like(some, levels[name][0]) for name in held}
        slopes = velocity(held | moving, still | sigma)
        return {name: slopes[name] for name in moving}

    # A grid may begin a little below pure noise, where a state of unit variance has this spread.
    start = {name: x[name] * spread(grid[0]) for name, grid in grids.items()}
    return integrate(
        moving_velocity,
        start,
        grids,
        config.solver,
        key=key,
        clip=config.clip,
        evaluated=config.evaluated,
    )
