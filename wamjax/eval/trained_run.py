"""A finished or half-finished training run, opened for evaluation."""

import dataclasses
import pathlib
from typing import Any

from wamjax.core.config import from_json
from wamjax.core.errors import UserError
from wamjax.core.files import read_json
from wamjax.core.tree import count_parameters
from wamjax.core.typing import Params
from wamjax.data.normalising.normalise import Normaliser, action_normaliser, proprio_normaliser
from wamjax.data.normalising.statistics import MixedStatistics, Statistics
from wamjax.data.normalising.statistics import from_json as from_json_statistics
from wamjax.policy.base import Needs, Policy
from wamjax.policy.trained import trained_policy
from wamjax.recipes.assembly import AnySystem, assembled
from wamjax.recipes.chance import Chance, chance
from wamjax.recipes.forms import conditions
from wamjax.recipes.learner import Learner
from wamjax.recipes.recipe_config import RecipeConfig
from wamjax.train.checkpoint import load_for_inference
from wamjax.train.run_config import RunConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """Config, statistics and averaged weights of one checkpoint.

    Attributes:
        step: of the checkpoint.
        final: the content of final.json, or None while the run is not finished.
    """

    config: RunConfig
    statistics: Statistics
    weights: Params
    step: int
    final: dict[str, Any] | None

    @property
    def system(self) -> AnySystem:
        return assembled(self.config.system)

    @property
    def parameters(self) -> int:
        """Number of scalars in the weights."""
        return count_parameters(self.weights)

    @property
    def action_normaliser(self) -> Normaliser:
        return action_normaliser(self.statistics, self.config.data)

    @property
    def proprio_normaliser(self) -> Normaliser:
        return proprio_normaliser(self.statistics, self.config.data)

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

    def policy(
        self,
        cameras: tuple[str, ...],
        replan: int | None = None,
        strength: float | None = None,
    ) -> Policy:
        """The policy of these weights.

        Args:
            cameras: names, in the environment, of the cameras that the data call
                `config.data.cameras`, in the same order.
            replan: actions executed before predicting again; by default half a chunk.
            strength: of the draws of its law, see wamjax.recipes.chance; None for no law.

        Raises:
            UserError: there is no law of such a system, or its form is not a policy.
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
        return trained_policy(
            system.sample_actions,
            action_normaliser=self.action_normaliser,
            proprio_normaliser=self.proprio_normaliser,
            needs=Needs(
                cameras=cameras,
                history=c.history,
                image_size=c.image_size,
                proprio=c.proprio_dim,
                text=c.text_length,
                history_stride=c.history_stride or c.frame_stride,
                past_actions=c.past_actions or 0,
                action=c.action_dim if c.past_actions else 0,
            ),
            chunk=c.chunk,
            replan=max(1, c.chunk // 2) if replan is None else replan,
            sample_future=system.sample_future if system.predicts_video else None,
            chance=None if strength is None else self._chance(strength),
            frame_stride=c.frame_stride,
            settings=f"{c.solver} {c.solver_steps}"
            + (f", best of {c.candidates}" if c.candidates > 1 else ""),
        )

    def _chance(self, strength: float) -> Chance:
        try:
            return chance(self.system, strength)
        except ValueError as error:
            raise UserError(f"{error}.") from error


def open_run(workdir: str | pathlib.Path, step: int | None = None) -> TrainedRun:
    """Load a checkpoint.

    Args:
        workdir: of `wamjax train`.
        step: which checkpoint; the newest by default.

    Raises:
        UserError: there is none, or it has no statistics.
    """
    config, statistics, weights, found = load_for_inference(workdir, step)
    own = from_json_statistics(statistics)
    if isinstance(own, MixedStatistics):
        raise UserError(
            f"{workdir} was trained on several data sets ({', '.join(own.members)}), and a policy "
            "has the numbers of one: train on one of them to sample or to evaluate."
        )
    final = pathlib.Path(workdir) / "final.json"
    return TrainedRun(
        config=from_json(RunConfig, config),
        statistics=own,
        weights=weights,
        step=found,
        final=read_json(final) if final.is_file() else None,
    )
