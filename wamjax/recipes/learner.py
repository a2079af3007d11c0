"""A recipe as functions of its weights: trained from a batch, sampled from an observation.

loss     see recipes.scoring
sample   values of what is given -> the recipe's sampler program -> what the form predicts
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from wamjax.core.keys import named_keys
from wamjax.core.records import Batch
from wamjax.core.typing import AnyArray, Array, Bool, Float, Int, Key, Params, UInt8
from wamjax.flow.losses import decided, laplace_law
from wamjax.flow.path import corrupt
from wamjax.flow.prefix import hold
from wamjax.model.segments import Segment
from wamjax.recipes.answers import chunk_of, frames_of, painted_answer
from wamjax.recipes.blueprint import Blueprint, Learning, Lesson, Walk
from wamjax.recipes.forms import NOTHING, Known, conditions, predicted, told
from wamjax.recipes.goals import Goal, with_goal
from wamjax.recipes.network import initial
from wamjax.recipes.parts import pixels
from wamjax.recipes.planning import Frames, apart, best_of
from wamjax.recipes.program import UnderWay, noise_for, walk
from wamjax.recipes.reader import Reader
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.recipes.scene import Scene, what_follows
from wamjax.recipes.scoring import Scoring

# Actions [B, P, A] that were executed before now, and which of their numbers there were
Past = tuple[AnyArray, AnyArray]


def past_of(batch: Batch) -> Past | None:
    """The executed actions of a batch; None where it has none."""
    if batch.past_actions is None or batch.past_action_mask is None:
        return None
    return batch.past_actions, batch.past_action_mask


def _shown(past: Past | None) -> dict[str, Array]:
    """The past as a scene holds it."""
    if past is None:
        return {}
    actions, mask = map(jnp.asarray, past)
    return {"past": jnp.where(mask, actions, 0.0), "past_mask": mask}


@dataclasses.dataclass(frozen=True)
class Learner:
    """A published system at its tiny size; see RecipeConfig. It has the functions of `System`."""

    config: RecipeConfig

    @property
    def blueprint(self) -> Blueprint:
        return self.config.blueprint

    @property
    def learning(self) -> Learning:
        return self.config.learning

    @functools.cached_property
    def reader(self) -> Reader:
        return Reader(self.blueprint, self.config.views, self.config.image_size)

    @functools.cached_property
    def scoring(self) -> Scoring:
        return Scoring(self.config, self.reader, self.settings)

    @property
    def name(self) -> str:
        """Recipe and form."""
        form = self.config.form
        return f"{self.config.recipe}/{form}" if form else self.config.recipe

    def in_form(self, form: str) -> "Learner":
        """The same weights, sampled in another form.

        Raises:
            ValueError: there is no such form, or its weights are others.
        """
        planning = self.learning.planning
        acts = planning is not None and form == planning.policy
        candidates = self.config.candidates if acts else 1
        other = Learner(dataclasses.replace(self.config, form=form, candidates=candidates))
        mine, theirs = self.blueprint, other.blueprint
        kept = (mine.model, mine.features, mine.training.table, mine.learning)
        if kept != (theirs.model, theirs.features, theirs.training.table, theirs.learning):
            raise ValueError(f"{other.name} is not trained as {self.name}: train it by itself")
        return other

    @functools.cached_property
    def predicts(self) -> tuple[str, ...]:
        """What `sample` can answer, see `recipes.forms.predicted`."""
        return predicted(self.blueprint)

    def init(self, key: Key) -> Params:
        """Fresh weights, boxed with their logical axes."""
        keys = named_keys(key, "reader", "model")
        return {**self.reader.init(keys["reader"]), "model": initial(self.blueprint, keys["model"])}

    def lesson(self, name: str) -> Lesson:
        """The stage of training called `name`."""
        return next(lesson for lesson in self.learning.lessons if lesson.name == name)

    def loss(
        self, params: Params, batch: Batch, key: Key, objective: str
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """The loss of a lesson over a batch, and its parts by name."""
        lesson = self.lesson(objective)
        scene = Scene(
            frames=pixels(jnp.asarray(batch.frames)),
            camera_mask=jnp.asarray(batch.camera_mask),
            frame_mask=jnp.asarray(batch.frame_mask),
            state=jnp.where(batch.proprio_mask, batch.proprio, 0.0),
            text=jnp.asarray(batch.text),
            actions=jnp.where(batch.action_mask, batch.actions, 0.0),
            action_mask=jnp.asarray(batch.action_mask),
            **_shown(past_of(batch)),
            **what_follows(batch, self.config.value_discount),
            embodiment=self._embodiment(batch),
            latents=None if batch.latents is None else jnp.asarray(batch.latents, jnp.float32),
        )
        share, rows = self.learning.goal, scene.state.shape[0]
        if share is not None and batch.goal is not None and batch.goal_mask is not None:
            chosen = jax.random.bernoulli(named_keys(key, "goal")["goal"], share, (rows,))
            scene = self._with_goal(scene, (batch.goal, batch.goal_mask), chosen)
        return self.scoring.loss(params, scene, lesson, key)

    def _embodiment(self, batch: Batch) -> Int[Array, " B"]:
        """Which embodiment each example is of."""
        if batch.embodiment is None:
            return jnp.full(batch.proprio.shape[0], self.config.embodiment or 0, jnp.int32)
        return jnp.asarray(batch.embodiment)

    def scene(
        self,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        past: Past | None = None,
        frame_mask: Bool[Array, "B T"] | None = None,
        goal: Goal | None = None,
    ) -> Scene:
        """An observation; the future is blank. What was executed before it is `past`."""
        every = jnp.ones((frames.shape[0], frames.shape[2]), bool)
        scene = Scene(
            frames=pixels(frames),
            camera_mask=camera_mask,
            frame_mask=every if frame_mask is None else frame_mask,
            state=proprio,
            text=text,
            **_shown(past),
            embodiment=jnp.full(proprio.shape[0], self.config.embodiment or 0, jnp.int32),
        )
        if goal is None:
            return scene
        return self._with_goal(scene, goal, jnp.ones(proprio.shape[0], bool))

    def _with_goal(self, scene: Scene, goal: Goal, chosen: Bool[Array, " B"]) -> Scene:
        """The scene told the goal as far as the encoders' cameras show it."""
        frames, mask = map(jnp.asarray, goal)
        return with_goal(scene, frames, mask & self.reader.looked, chosen)

    @functools.cached_property
    def widths(self) -> dict[str, int]:
        """Width of what is denoised of each stream."""
        beside = dict(self.learning.beside)
        widths: dict[str, int] = {}
        for stream, width in self.blueprint.features:
            match beside.get(stream):
                case "state":
                    widths[stream] = width - self.blueprint.shape.proprio
                case "first_frame":
                    widths[stream] = width * 4 // 9
                case "given":
                    widths[stream] = width * 8 // 9
                case None:
                    widths[stream] = width
        return widths

    def sample(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
        *,
        video: bool,
        under_way: UnderWay | None = None,
        past: Past | None = None,
        frame_mask: Bool[Array, "B T"] | None = None,
        known: Known = NOTHING,
        goal: Goal | None = None,
    ) -> dict[str, Array]:
        """Sample what follows an observation by the recipe's program.

        Args:
            frames: the history, at the strides of the training windows. proprio: normalised.
            video: also give the predicted frames, where the form predicts both: those that were
                sampled with the actions, or from the same observation where the program denoises
                none.
            known: what a form conditions on, see recipes.forms.
            under_way: what the robot executes meanwhile: actions [B, K, A], normalised, the first
                of them now, and how many of them [B], 0 ... `config.delay`. The chunk begins with
                those and goes on from there.
            past: actions executed before now, normalised, the newest last, and which numbers of
                them there were, [B, `config.past_actions`, A] each.
            frame_mask: which frames of the history there were; all by default.
            goal: what the world is to look like; where a camera shows it, it is told instead of the
                instruction.

        Returns:
            Of `predicts`: "action" float32 [B, K, A], normalised, "frames" uint8
            [B, predicted views, future, H, W, 3], "proprio" float32 [B, P], normalised, with the
            newest of those frames, and its "value" float32 [B] in 0 ... 1.

        Raises:
            ValueError: actions are under way, and the recipe does not denoise one token for each;
                or a goal is shown to a form that reads none;
                or other past actions than those the config tells of, or what is known is not what
                the form conditions on.
        """
        count = 0 if past is None else past[0].shape[1]
        wanted = self.config.past_actions or 0
        if count != wanted:
            raise ValueError(f"{wanted} past actions are shown, got {count}")
        if goal is not None and self.learning.goal is None:
            raise ValueError(f"{self.name} reads no goal: leave it out")
        scene = self.scene(frames, camera_mask, proprio, text, past, frame_mask, goal)
        scene = told(scene, known, conditions(self.blueprint), self.config.future, self.name)
        if under_way is not None and not self.config.continued:
            raise ValueError(f"{self.config.recipe} cannot go on from actions under way")
        if self.config.candidates > 1:
            best, value = self._planned(params, scene, key)
            return {**painted_answer(self.reader, scene, best), "value": value}
        out = self.walked(params, scene, key, imagine=False, under_way=under_way)
        result = {}
        if self.learning.painted:
            denoised = apart(self.blueprint.program[0].segments, out["video"])
            return painted_answer(self.reader, scene, denoised)
        if "action" in out:
            read = out["action"]
            if self.learning.read == "laplace":
                read, _ = laplace_law(read)
            chunk = decided(self.learning.parts, chunk_of(self.blueprint, read))
            result["action"] = chunk if under_way is None else hold(chunk, *under_way)
        if "frames" in self.predicts and (video or "action" not in result):
            if "video" not in out:
                out = self.walked(params, scene, key, imagine=True)
            result["frames"] = frames_of(self.reader, scene, out["video"])
        return result

    def _answer(self, result: dict[str, Array], name: str) -> Array:
        if name not in result:
            can = " and ".join(self.predicts)
            raise ValueError(f"{self.name} predicts {can}, not {name}: sample another form")
        return result[name]

    def action_law(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
    ) -> tuple[Float[Array, "B K A"], Float[Array, "B K A"]]:
        """Mean and log-scale of a Laplace head, normalised; see `sample`."""
        scene = self.scene(frames, camera_mask, proprio, text)
        mean, log_scale = laplace_law(self.walked(params, scene, key, imagine=False)["action"])
        return chunk_of(self.blueprint, mean), chunk_of(self.blueprint, log_scale)

    def walked(
        self,
        params: Params,
        scene: Scene,
        key: Key,
        *,
        imagine: bool,
        under_way: UnderWay | None = None,
        frames: Frames | None = None,
        steps: int | None = None,
    ) -> dict[str, Array]:
        """The streams at the end of the program.

        Args:
            frames: latent frames of a painted future that stand there instead of the scene's.
            steps: of every walk instead of the config's.
        """
        keys = named_keys(key, "noise", "solver")
        rows = scene.state.shape[0]
        noise = noise_for(self.blueprint, self.widths, rows, keys["noise"], imagine)
        for phase in self.blueprint.phases(imagine):
            for stream, start, end in phase.levels:
                if start == end < 1:
                    mine = [s for s in phase.segments if s.stream == stream and s.copy == "noisy"]
                    clean = jnp.concatenate([self.reader.clean(scene, s)[0] for s in mine], axis=1)
                    noise[stream] = corrupt(clean, noise[stream], jnp.full(rows, start))

        def supply(segment: Segment) -> tuple[Array, Array]:
            if frames is None or segment.copy != "cond":
                return self.reader.values(params, scene, segment)
            own = self.reader.wide(scene, segment, frames[round(segment.start)])
            return own, self.reader.present(scene, segment)

        return walk(
            self.blueprint,
            params["model"],
            supply,
            noise,
            imagine=imagine,
            settings=self.settings,
            steps=steps or self.config.solver_steps or None,
            key=keys["solver"],
            wide=functools.partial(self.reader.wide, scene),
            written=functools.partial(self.reader.shown, scene),
            under_way=under_way,
            domain=scene.embodiment,
        )

    def _planned(
        self, params: Params, scene: Scene, key: Key
    ) -> tuple[dict[int, Array], Float[Array, " B"]]:
        """The latent frames of the best of `config.candidates` chunks, and its value."""
        planning = self.learning.planning
        assert planning is not None

        def draw(form: str, frames: Frames, key: Key, steps: int | None) -> dict[int, Array]:
            one = self.in_form(form)
            out = one.walked(params, scene, key, imagine=False, frames=frames, steps=steps)
            return apart(one.blueprint.program[0].segments, out["video"])

        place = self.learning.painted.index("value")
        steps = self.config.solver_steps or None
        count = self.config.candidates
        return best_of(draw, planning, place, key, candidates=count, steps=steps)

    @functools.cached_property
    def settings(self) -> Walk:
        """The recipe's, with what is predicted as it is trained here, and unguided."""
        # Patches of pixels do not pass through narrow layers (arXiv 2511.13720). A small network
        # takes long to learn that nearly pure noise is the noise; x + (1 - sigma) velocity is it.
        rest = tuple(
            (stream, "velocity" if prediction == "noise" else prediction)
            for stream, prediction in self.blueprint.walk.predictions
            if stream != "video"
        )
        # Without examples that lack an instruction, there is nothing to guide away from.
        return dataclasses.replace(
            self.blueprint.walk, predictions=(("video", "clean"), *rest), guidance=()
        )

    def sample_actions(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
        under_way: UnderWay | None = None,
        past: Past | None = None,
        frame_mask: Bool[Array, "B T"] | None = None,
        known: Known = NOTHING,
        goal: Goal | None = None,
    ) -> Float[Array, "B K A"]:
        """Normalised actions; see `sample`.

        Raises:
            ValueError: the form predicts none.
        """
        given = (frames, camera_mask, proprio, text, key)
        shown = {"under_way": under_way, "past": past, "frame_mask": frame_mask, "goal": goal}
        out = self.sample(params, *given, video=False, known=known, **shown)
        return self._answer(out, "action")

    def sample_future(
        self,
        params: Params,
        frames: UInt8[Array, "B V T H W 3"],
        camera_mask: Bool[Array, "B V"],
        proprio: Float[Array, "B P"],
        text: UInt8[Array, "B X"],
        key: Key,
        past: Past | None = None,
        frame_mask: Bool[Array, "B T"] | None = None,
    ) -> tuple[Float[Array, "B K A"], UInt8[Array, "B W F H W 3"]]:
        """Normalised actions and the predicted frames; see `sample`.

        Raises:
            ValueError: the form predicts one of them alone.
        """
        given = (frames, camera_mask, proprio, text, key)
        out = self.sample(params, *given, video=True, past=past, frame_mask=frame_mask)
        return self._answer(out, "action"), self._answer(out, "frames")

    @property
    def predicts_video(self) -> bool:
        """Whether sampling can show a predicted future."""
        return "frames" in self.predicts
