"""What a recipe builds: a model, the sequences it is trained and sampled on, losses, a program.

train    training sequence -> model -> one loss per predicted stream, lesson by lesson
sample   prefill(given segments) -> phases, each a walk of some streams over noise levels
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

from wamjax.codec.latent_action import LatentActions
from wamjax.codec.latent_action import Stage as CodecStage
from wamjax.flow.levels import LevelLaw, LevelsConfig
from wamjax.flow.losses import Part
from wamjax.flow.path import SIGMA_FLOOR, Prediction
from wamjax.flow.sampler import Grid
from wamjax.flow.solvers import Solver
from wamjax.flow.solvers.integrate import method_of
from wamjax.flow.weights import Weight
from wamjax.model.config import WamConfig
from wamjax.model.layout import Layout
from wamjax.model.segments import Segment, Stream
from wamjax.recipes.planning import Planning

Kind = Literal["VLA", "VLA + RL", "hybrid", "WAM"]
Size = Literal["full", "tiny"]
Coupling = Literal["trunk", "latent_frame", "mot", "layer_cross", "tap_cross", "none"]
Cameras = Literal["own", "others", "all", "first"]
Beside = Literal["state", "first_frame", "given"]
Words = Literal["told", "spelled", "step", "between"]


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
            change is held, and one that stops above 0 is not an answer. From 1 to 0 where the grid
            has levels of its own, see `Walk`.
        steps: solver steps, one pass through what the streams need each; without levels, passes
            that each read one more word of a run that is causal.
        evaluated: at which of the steps the network is asked, rising from 0; those between go on
            with its last answer (velocity reuse). Empty for all of them.
        guidance: passes per step (2 with classifier-free guidance).
        writes: segments that hold the phase's results and are added to the cache behind it (one
            pass more), for later phases to see, with those of streams that it does not walk as they
            are known; those of the last phase stand for what is written once the chunk is executed,
            see recipes.episode.
    """

    segments: tuple[Segment, ...]
    levels: tuple[tuple[Stream, float, float], ...] = ()
    steps: int = 1
    evaluated: tuple[int, ...] = ()
    guidance: int = 1
    writes: tuple[Segment, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lesson:
    """A stage of training.

    Attributes:
        name: of the stage, and of its objective.
        fraction: of all steps.
        losses: (stream, weight) of what is scored.
        codec: the stage of `Learning.between` that is learned, instead of the model; nothing else
            is scored then.
        pins: (stream, noise level) of streams that stand at one level meanwhile.
        train: regular expressions over the paths of the weights that learn.
    """

    name: str = "all"
    fraction: float = 1.0
    losses: tuple[tuple[Stream, float], ...] = (("video", 1.0), ("action", 1.0))
    codec: CodecStage | None = None
    pins: tuple[tuple[Stream, float], ...] = ()
    train: tuple[str, ...] = (".*",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoisyHistory:
    """Noise on the clean copies of a stream while training, which the network is told of.

    Attributes:
        stream: whose.
        share: of the examples.
        least, most: noise levels are uniform between them, one for each segment.
    """

    stream: Stream = "video"
    share: float = 0.5
    least: float = 0.0
    most: float = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Role:
    """One thing that a sequence is trained for: some of its future is given, the rest denoised.

    Attributes:
        share: of the examples.
        given: contents of latent frames (see `Learning.painted`) that stand there clean and are
            not scored; or kinds of segments, such as "action/cond", that are padding in the roles
            which do not name them.
    """

    share: float
    given: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learning:
    """How a blueprint is trained on robot data.

    Attributes:
        encoded: (stream, cameras) of the streams that a network beside makes out of frames and
            instruction: of the segment's own camera, of all but the first, of all; or ("first") of
            its own camera in the first frame of the sequence, not in the newest that is given.
        beside: (stream, what) stands beside the values of a stream and is not denoised: the robot's
            state, the mask and the latents of the first frame, or whether the token is given.
        words: (stream, what its words are). "told": the instruction's, a number each; "spelled":
            those, and behind them the state, one out of 256 words for each of its numbers; "step":
            learned words, of one kind for each step and one more; "between": a start word and
            those that `between` makes of the chunk's first and last frame.
        between: a codec for latent actions, learned in lessons of its own.
        levels: noise laws, as published.
        pixel_shift: by how much more the levels are shifted towards noise where video tokens are
            patches of pixels, see `laws`; 1 for the published laws alone.
        weight: of the squared error of a velocity, by its noise level, see flow.weights. What a
            tiny form predicts clean (its video) is scored without.
        apart: a level for each segment of a stream instead of one for the sample.
        noisy_history: noise on what is given, or None.
        painted: what each latent frame of the sequence holds, where numbers are painted into frames
            ("state", "action", "camera 0", "value", "blank"); those of block 1 and later lie in the
            future. Empty where video tokens are video alone.
        discount: of the values that are painted, one control tick; None where none are.
        planning: how the best of several chunks is found by their values; None where it cannot be.
        roles: what an example may be told of the future; each draws one of them. Empty where
            nothing is.
        read: what a query is read as: the value itself, or mean and log-scale of a Laplace law.
        parts: of a denoised action, each with a loss of its own. A binary one (a gripper) is
            answered as a logit, and its noisy value is not shown. Empty for the mean square over
            all dimensions.
        goal: the frame of a goal stands beside each frame that is encoded; the share of examples
            that are told it instead of the instruction, see recipes.goals. None: none is read.
        memory: sparse memory: the frames of the history stand so many frame strides apart.
        lessons: in their order.

    Raises:
        ValueError: a Beta law of the video's levels is to be shifted.
    """

    encoded: tuple[tuple[Stream, Cameras], ...] = ()
    beside: tuple[tuple[Stream, Beside], ...] = ()
    words: tuple[tuple[Stream, Words], ...] = (("word", "told"),)
    between: LatentActions | None = None
    levels: LevelsConfig = LevelsConfig()
    pixel_shift: float = 1.0
    weight: Weight = "none"
    apart: bool = False
    noisy_history: NoisyHistory | None = None
    painted: tuple[str, ...] = ()
    discount: float | None = None
    planning: Planning | None = None
    roles: tuple[Role, ...] = ()
    read: Literal["value", "laplace"] = "value"
    parts: tuple[Part, ...] = ()
    goal: float | None = None
    memory: int = 1
    lessons: tuple[Lesson, ...] = (Lesson(),)

    def __post_init__(self) -> None:
        if self.pixel_shift != 1 and self.levels.video.law == "beta":
            raise ValueError("a Beta law says itself how near to noise it lies; leave it unshifted")

    @property
    def laws(self) -> LevelsConfig:
        """The laws that a tiny form's levels are drawn from.

        A patch of pixels still shows its picture where a latent of an autoencoder is noise, and
        the network must learn the future without that (arXiv 2301.10972, 2403.03206): the video's
        published shift is multiplied by `pixel_shift`. Streams that share their levels are shifted
        together.
        """

        def shifted(law: LevelLaw) -> LevelLaw:
            return dataclasses.replace(law, shift=law.shift * self.pixel_shift)

        levels = self.levels
        moved = dataclasses.replace(levels, video=shifted(levels.video))
        if levels.coupling == "independent":
            return moved
        others = tuple((stream, shifted(law)) for stream, law in levels.others)
        return dataclasses.replace(moved, action=shifted(levels.action), others=others)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Walk:
    """How the sampler walks.

    Attributes:
        predictions: (stream, what the network predicts); the velocity where nothing is said.
        solver: see flow.solvers.
        grid: of the noise levels, see flow.sampler.
        shifts: (stream, shift) of grids that are shifted; 1 where nothing is said.
        floor: least divisor where a prediction is turned into a velocity, see flow.path.
        clip: bound of the state after every step, in units of its spread; None for no bound.
        guidance: (stream, scale) of classifier-free guidance, in the phases that have it; 1 where
            nothing is said, which is none.
    """

    predictions: tuple[tuple[Stream, Prediction], ...] = ()
    solver: Solver = "euler"
    grid: Grid = "shifted"
    shifts: tuple[tuple[Stream, float], ...] = ()
    floor: float = SIGMA_FLOOR
    clip: float | None = None
    guidance: tuple[tuple[Stream, float], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Blueprint:
    """A published system as values.

    Attributes:
        model: stacks, experts and ports.
        features: stream -> width of its values.
        training: the sequence of a training example, noisy copies and all.
        given: the segments that are prefilled once when a chunk is sampled.
        program: the phases that follow, one chunk.
        foreseen: leading phases of the program that predict what will be there once the chunk under
            way is executed; the chunk behind it is sampled meanwhile, see recipes.episode.
        answers: the streams that a policy needs.
        imagine: the phases that show the future, where a policy's program does not.
        shape: what the sequences were built for.
        walk: how the phases are walked.
        learning: how it is trained.
    """

    model: WamConfig
    features: tuple[tuple[Stream, int], ...]
    training: Layout
    given: tuple[Segment, ...]
    program: tuple[Phase, ...]
    foreseen: int = 0
    answers: tuple[Stream, ...] = ("action",)
    imagine: tuple[Phase, ...] = ()
    shape: Shape
    walk: Walk = Walk()
    learning: Learning

    def phases(self, imagine: bool = False) -> tuple[Phase, ...]:
        """The program, or the one that shows the future."""
        return (self.imagine or self.program) if imagine else self.program

    def known(self, imagine: bool = False) -> tuple[Segment, ...]:
        """What is prefilled; where the future is to be walked, nothing of what it walks with."""
        if not (imagine and self.imagine):
            return self.given
        walked = {segment for phase in self.imagine for segment in phase.segments}
        return tuple(segment for segment in self.given if segment not in walked)

    def sampling(self, phase: int, imagine: bool = False) -> Layout:
        """The whole sequence during a phase: given, written before, and the phase's own."""
        phases = self.phases(imagine)
        written = tuple(s for done in phases[:phase] for s in done.writes)
        segments = (*self.known(imagine), *written, *phases[phase].segments)
        return dataclasses.replace(self.training, segments=segments)

    @property
    def passes(self) -> int:
        """Forward passes of a chunk as it is walked, see `passes_in`."""
        return self.passes_in(None)

    def passes_in(self, steps: int | None) -> int:
        """The prefill, steps of every walk (or words; None: its own), writing.

        What guided phases see stands in two caches, with the instruction and without.
        """
        count, caches = 0, 0
        for phase in reversed(self.program):
            evaluations = method_of(self.walk.solver).evaluations if phase.levels else 1
            own = len(phase.evaluated) or phase.steps
            turns = steps if steps and phase.levels else own
            count += turns * phase.guidance * evaluations
            # What the last phase writes is for the next chunk.
            count += caches if phase.writes else 0
            caches = max(caches, phase.guidance)
        return count + (caches if self.given else 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outside:
    """What a published count of parameters holds and a recipe does not build.

    Attributes:
        name: of the network.
        parameters: how many it has.
        source: where that number is from.
    """

    name: str
    parameters: int
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """A published system: how to build it, and what is known about it.

    Attributes:
        name: as on the command line.
        kind, coupling, objective: what it is.
        source: arXiv id and repository.
        parts: what `build("full")` holds.
        published: the published count of its parameters, such as "5.9 B"; None where none is
            published.
        counted: where that figure stands, if not in `source`.
        outside: what that figure holds beside what is built.
        beyond: modules (names at the top of the tree of weights) that the figure leaves out.
        explained: whether it is known what the figure counts; if not, nothing is held against it.
        executed: actions of a chunk that the published system executes before it predicts the next
            one; None for all of them, and where nothing is said.
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
    counted: str = ""
    outside: tuple[Outside, ...] = ()
    beyond: tuple[str, ...] = ()
    explained: bool = True
    executed: int | None = None

    def executes(self, chunk: int) -> int:
        """Actions of a chunk of so many that are executed before the next one is predicted."""
        return chunk if self.executed is None else min(self.executed, chunk)

    def agrees(self, parameters: int) -> bool:
        """Whether a count is within 2 % of the published one."""
        assert self.published is not None
        number, unit = self.published.split()
        published = float(number) * {"M": 1e6, "B": 1e9}[unit]
        return abs(parameters - published) <= 0.02 * published
