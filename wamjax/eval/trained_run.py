"""A finished or half-finished training run, opened for evaluation.

Of a run on a mixture, one of its data sets says whose robot and numbers the policy has. What that
needs (cards, statistics) travels with the weights.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from wamjax.core.config import from_json
from wamjax.core.errors import UserError
from wamjax.core.files import read_json
from wamjax.core.tree import count_parameters
from wamjax.core.typing import Params
from wamjax.data.config import DataConfig
from wamjax.data.episodes import read_episodes
from wamjax.data.normalising.normalise import Normaliser, action_normaliser, proprio_normaliser
from wamjax.data.normalising.placed import Placed
from wamjax.data.normalising.statistics import MixedStatistics, Statistics
from wamjax.data.normalising.statistics import from_json as from_json_statistics
from wamjax.data.windows.members import member_of
from wamjax.data.windows.pipeline import Windows
from wamjax.data.windows.seated import SeatedWindows
from wamjax.data.windows.seats import Seat, cards_in, seating
from wamjax.flow.sampler import Program
from wamjax.policy.base import Needs, Policy
from wamjax.policy.relative import FromState
from wamjax.policy.trained import Views, trained_policy
from wamjax.recipes.assembly import AnyConfig, AnySystem, assembled
from wamjax.recipes.chance import Chance, chance
from wamjax.recipes.forms import conditions
from wamjax.recipes.learner import Learner
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.run_config import RunConfig

# Why a data set of a mixture is not what is asked for; empty where it is.
Misfit = Callable[[Seat, Statistics], str]
# Setting of a system -> what `TrainedRun.sampling` calls it.
SAMPLING = {"sampled": "program", "solver_steps": "steps", "temperature": "temperature"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """Config, statistics and averaged weights of one checkpoint.

    Attributes:
        statistics: of the data set, or of the chosen one of a mixture.
        step: of the checkpoint.
        final: the content of final.json, or None while the run is not finished.
        seat: of the chosen data set of a mixture; None of a run on one data set.
    """

    config: RunConfig
    statistics: Statistics
    weights: Params
    step: int
    final: dict[str, Any] | None
    seat: Seat | None = None

    @property
    def system(self) -> AnySystem:
        return assembled(self.config.system)

    @property
    def parameters(self) -> int:
        """Number of scalars in the weights."""
        return count_parameters(self.weights)

    @property
    def action_normaliser(self) -> Normaliser | Placed:
        if self.seat is None:
            return action_normaliser(self.statistics, self.config.data)
        return Placed(action_normaliser(self.statistics, self._unpadded), self.seat.action)

    @property
    def proprio_normaliser(self) -> Normaliser | Placed:
        if self.seat is None:
            return proprio_normaliser(self.statistics, self.config.data)
        return Placed(proprio_normaliser(self.statistics, self._unpadded), self.seat.proprio)

    @property
    def _unpadded(self) -> DataConfig:
        return dataclasses.replace(self.config.data, action_width=None, proprio_width=None)

    @property
    def shows_future(self) -> bool:
        """Whether frames are predicted of a camera that the data have."""
        predicted = self.config.system.predicted_views
        seen = self.seat is None or any(view < predicted for view in self.seat.views)
        return self.system.predicts_video and seen

    def held_out(self, directory: str | None = None) -> Windows | SeatedWindows:
        """The windows that were not trained on.

        Args:
            directory: where the data are now, if they have moved.

        Raises:
            UserError: none were held out, or the data are not there or others.
        """
        data = self.config.data
        if not data.holdout:
            raise UserError(
                f"{self.config.name} held no episode out (data.holdout = 0), so there is nothing "
                "to measure on: train with a data.holdout above 0."
            )
        if self.seat is None:
            own = dataclasses.replace(data, part="heldout", dir=directory or data.dir)
            return Windows(own, self.statistics, read_episodes(own))
        member = member_of(data, self.seat.name, directory)
        own = dataclasses.replace(member.config, part="heldout")
        return SeatedWindows(Windows(own, self.statistics, read_episodes(own)), self.seat)

    @property
    def from_state(self) -> FromState | None:
        """How its actions are told relative to states; None where they are not."""
        relative = self.statistics.relative
        return None if relative is None else FromState(relative)

    def in_form(self, form: str) -> "TrainedRun":
        """The same weights, sampled in another of the recipe's forms.

        Raises:
            UserError: the run has no such form, or its weights are others.
        """
        system = self.system
        if not isinstance(system, Learner):
            raise UserError(f"{self.config.name} has no forms; leave --form out.")
        try:
            other = system.in_form(form)
        except ValueError as error:
            raise UserError(f"{error}.") from error
        return dataclasses.replace(
            self, config=dataclasses.replace(self.config, system=other.config)
        )

    def choosing(self, candidates: int | None) -> "TrainedRun":
        """The same weights, acting by the best of so many chunks; None as its config says.

        Raises:
            UserError: it has no values to choose by, or there are less than one.
        """
        if candidates is None:
            return self
        c = self.config.system
        if not isinstance(c, RecipeConfig):
            raise UserError(f"{self.config.name} does not plan; leave --candidates out.")
        try:
            system = dataclasses.replace(c, candidates=candidates)
        except ValueError as error:
            raise UserError(f"--candidates {candidates}: {error}.") from error
        return dataclasses.replace(self, config=dataclasses.replace(self.config, system=system))

    def sampling(
        self,
        program: Program | None = None,
        steps: int | None = None,
        temperature: float | None = None,
    ) -> "TrainedRun":
        """The same weights, sampled otherwise; what is None stays as the run's config has it.

        Args:
            program: which stream is denoised when: "joint", "action_only" (the video stays pure
                noise) or "video_then_action" (inverse mode); see wamjax.recipes.modes.
            steps: solver steps (jumps, where those were learned).
            temperature: factor of the noise that actions start from.

        Raises:
            UserError: its objective was not trained for that, or it is a recipe, which has forms.
        """
        given = {"sampled": program, "solver_steps": steps, "temperature": temperature}
        changes: dict[str, Any] = {k: value for k, value in given.items() if value is not None}
        c = self.config.system
        known = {field.name for field in dataclasses.fields(c)}
        if missing := {*changes} - known:
            raise UserError(
                f"{self.config.name} is a recipe, whose sampler has no "
                f"{' or '.join(sorted(SAMPLING[name] for name in missing))}; see its forms."
            )
        try:
            system = dataclasses.replace(c, **changes)
        except ValueError as error:
            raise UserError(f"{self.config.name}: {error}.") from error
        return dataclasses.replace(self, config=dataclasses.replace(self.config, system=system))

    def policy(
        self,
        cameras: tuple[str, ...],
        replan: int | None = None,
        strength: float | None = None,
    ) -> Policy:
        """The policy of these weights.

        Args:
            cameras: names, in the environment, of the cameras that the data call
                `config.data.cameras`, in the same order. Of a run on a mixture: all names in the
                environment; those are shown whose name is a role that the data set has.
            replan: actions executed before predicting again; by default half a chunk.
            strength: of the draws of its law, see wamjax.recipes.chance; None for no law.

        Raises:
            UserError: there is no law of such a system, its form is not a policy, or the
                environment has no camera of the data set.
        """
        c = self.config.system
        system = self.system
        if isinstance(system, Learner) and (
            "action" not in system.predicts or conditions(system.blueprint)
        ):
            raise UserError(
                f"{system.name} does not act on an observation alone; train or open a form that "
                "does, see `wamjax recipes`."
            )
        views = None if self.seat is None else shown(self.seat, cameras)
        if self.seat is not None and views is not None:
            cameras = tuple(self.seat.cameras[view] for view in views.shown)
        ahead = views is None or views.shown[0] < c.predicted_views
        actions, proprio = self.action_normaliser, self.proprio_normaliser
        return trained_policy(
            system.sample_actions,
            action_normaliser=actions,
            proprio_normaliser=proprio,
            needs=Needs(
                cameras=cameras,
                history=c.history,
                image_size=c.image_size,
                proprio=proprio.raw_width,
                text=c.text_length,
                history_stride=c.history_stride or c.frame_stride,
                past_actions=c.past_actions or 0,
                action=actions.raw_width if c.past_actions else 0,
            ),
            chunk=c.chunk,
            replan=max(1, c.chunk // 2) if replan is None else replan,
            sample_future=system.sample_future if system.predicts_video and ahead else None,
            chance=None if strength is None else self._chance(strength),
            views=views,
            relative=self.from_state,
            frame_stride=c.frame_stride,
            settings=f"{c.solver} {c.solver_steps}"
            + unusual(c)
            + (f", best of {c.candidates}" if c.candidates > 1 else "")
            + ("" if self.seat is None else f", as {self.seat.name}"),
        )

    def _chance(self, strength: float) -> Chance:
        try:
            return chance(self.system, strength)
        except ValueError as error:
            raise UserError(f"{error}.") from error


def unusual(config: AnyConfig) -> str:
    """What an evaluation must be told of the sampler where it is not the objective's own."""
    if isinstance(config, RecipeConfig):
        return ""
    program, temperature = config.program, config.temperature
    return (f", {program}" if program != config.plan.program else "") + (
        f", temperature {temperature}" if temperature not in (None, 1.0) else ""
    )


def shown(seat: Seat, cameras: tuple[str, ...]) -> Views:
    """The views of a data set that an environment has.

    Raises:
        UserError: none.
    """
    views = tuple(view for view in seat.views if seat.cameras[view] in cameras)
    if not views:
        has = ", ".join(seat.cameras[view] for view in seat.views)
        raise UserError(
            f"the policy looks as {seat.name} does, through {has}, and this environment has "
            f"{', '.join(cameras)}; choose another data set."
        )
    return Views(shown=views, count=len(seat.cameras))


def chosen(
    workdir: str | pathlib.Path,
    seats: Mapping[str, Seat],
    statistics: MixedStatistics,
    data_set: str | None,
    misfit: Misfit,
) -> str:
    """The data set of a mixture that is named, or the only one that fits.

    Raises:
        UserError: there is no such data set, it does not fit, or it must be named.
    """
    reasons = {name: misfit(seat, statistics.of(name)) for name, seat in seats.items()}
    if data_set is not None:
        if data_set not in seats:
            raise UserError(
                f"{workdir} was not trained on {data_set!r}: give --data-set one of "
                f"{', '.join(seats)}."
            )
        if reasons[data_set]:
            raise UserError(f"--data-set {data_set} does not fit: it {reasons[data_set]}.")
        return data_set
    fitting = [name for name, reason in reasons.items() if not reason]
    if not fitting:
        told = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
        raise UserError(f"none of the data sets that {workdir} was trained on fits: {told}.")
    if len(fitting) > 1:
        raise UserError(
            f"{workdir} was trained on several data sets, and a policy has the robot and the "
            f"numbers of one: give --data-set one of {', '.join(fitting)}."
        )
    return fitting[0]


def open_run(
    workdir: str | pathlib.Path,
    step: int | None = None,
    *,
    data_set: str | None = None,
    misfit: Misfit | None = None,
) -> TrainedRun:
    """Load a checkpoint.

    Args:
        workdir: of `wamjax train`.
        step: which checkpoint; the newest by default.
        data_set: of a run on a mixture: whose robot and numbers; by default the only one that fits.
        misfit: which do not fit; without it runs on a mixture are refused.

    Raises:
        UserError: there is none, it has no statistics, or see `chosen`.
    """
    written, statistics, weights, found = load_for_inference(workdir, step)
    config, own, seat = from_json(RunConfig, written), from_json_statistics(statistics), None
    if isinstance(own, MixedStatistics):
        if misfit is None:
            raise UserError(
                f"{workdir} was trained on several data sets ({', '.join(own.members)}), and this "
                "needs the robot and the numbers of one: wamjax sample and wamjax eval take such a "
                "run with --data-set, here give one that was trained on one of them."
            )
        seats = {seat.name: seat for seat in seating(config.data, cards_in(own)).seats}
        seat = seats[chosen(workdir, seats, own, data_set, misfit)]
        own, config = own.of(seat.name), sat(config, seat)
    elif data_set is not None:
        raise UserError(f"{workdir} was trained on one data set: leave out --data-set.")
    final = pathlib.Path(workdir) / "final.json"
    return TrainedRun(
        config=config,
        statistics=own,
        weights=weights,
        step=found,
        final=read_json(final) if final.is_file() else None,
        seat=seat,
    )


def sat(config: RunConfig, seat: Seat) -> RunConfig:
    """The config of a policy of that robot, where the system has weights for each."""
    system = config.system
    if not isinstance(system, RecipeConfig) or system.embodiments == 1:
        return config
    own = dataclasses.replace(system, embodiment=seat.embodiment)
    return dataclasses.replace(config, system=own)
