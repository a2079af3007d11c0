"""Where the cameras and numbers of each data set stand in its mixture.

    cameras      by role: those that a data set lacks are zero, with camera_mask False
    numbers      by meaning: the union of all layouts, padded; what a robot lacks is zero, masked;
                 those told relative to the state have places of their own
    embodiment   data sets whose cards name the same one share it

It follows from the mixture's config and the cards alone, so that a policy sits where its data sat.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from wamjax.core.errors import UserError
from wamjax.core.records import Batch
from wamjax.data.cards.card import Card, card_from
from wamjax.data.cards.layout import Layout, union
from wamjax.data.cards.relative import relative_of
from wamjax.data.config import DataConfig
from wamjax.data.normalising.placed import Places
from wamjax.data.normalising.statistics import MixedStatistics

# Fields of a batch that stand in the layout of actions or of states.
ACTIONS = ("actions", "action_mask", "past_actions", "past_action_mask")
STATES = ("proprio", "proprio_mask", "next_proprio", "next_proprio_mask")
# Fields with an axis of cameras.
VIEWS = ("frames", "camera_mask", "goal", "goal_mask")


@dataclasses.dataclass(frozen=True)
class Common:
    """A common layout of some width, and where each data set's numbers stand in it."""

    layout: Layout
    places: tuple[np.ndarray, ...]
    width: int


def common(layouts: list[Layout], width: int | None, what: str) -> Common:
    """The common layout, padded to `width`.

    Raises:
        UserError: it is wider than that.
    """
    layout, places = union(layouts)
    total = len(layout) if width is None else width
    if total < len(layout):
        raise UserError(
            f"the mixture's {what} has {len(layout)} numbers, which data.{what}_width = {total} "
            f"cannot hold: raise it."
        )
    return Common(layout, places, total)


def trained_on(config: DataConfig, card: Card) -> Layout:
    """What the numbers of a data set's actions mean as they are trained on."""
    layout = card.action.layout
    return relative_of(card).layout(layout) if config.relative else layout


def views_of(card: Card, cameras: tuple[str, ...]) -> tuple[int, ...]:
    """Which of the mixture's cameras a data set has."""
    return tuple(view for view, role in enumerate(cameras) if role in card.cameras.roles)


@dataclasses.dataclass(frozen=True)
class Seat:
    """The place of one data set.

    Attributes:
        name: of the data set in the mixture.
        cameras: roles of all views of the mixture.
        views: those that the data set has.
        action, proprio: where its numbers stand.
        embodiment: number of its robot.
        hz: actions a second; None where it is not known.
    """

    name: str
    cameras: tuple[str, ...]
    views: tuple[int, ...]
    action: Places
    proprio: Places
    embodiment: int
    hz: float | None

    def widen(self, batch: Batch) -> Batch:
        """A batch of the data set alone, as the mixture shows it."""
        rows = len(batch.index)
        told: dict[str, np.ndarray] = {"embodiment": np.full(rows, self.embodiment, np.int32)}
        tables = (
            (VIEWS, self._shown),
            (ACTIONS, self.action.spread),
            (STATES, self.proprio.spread),
        )
        for names, widen in tables:
            for name in names:
                value = getattr(batch, name)
                if value is not None:
                    told[name] = widen(np.asarray(value))
        return dataclasses.replace(batch, **told)

    def _shown(self, value: np.ndarray) -> np.ndarray:
        """[B, own views, ...] -> [B, V, ...], zero of the cameras that the data set lacks."""
        room = np.zeros((len(value), len(self.cameras), *value.shape[2:]), value.dtype)
        room[:, list(self.views)] = value
        return room


@dataclasses.dataclass(frozen=True)
class Seating:
    """Of all data sets of a mixture.

    Attributes:
        seats: one each.
        action, proprio: the common layouts.
        embodiments: names of the robots.
    """

    seats: tuple[Seat, ...]
    action: Common
    proprio: Common
    embodiments: tuple[str, ...]

    def of(self, name: str) -> Seat:
        """The seat of the data set `name`, which is one of them."""
        return next(seat for seat in self.seats if seat.name == name)


def seating(config: DataConfig, cards: Mapping[str, Card]) -> Seating:
    """Where everything stands.

    Args:
        config: of the mixture.
        cards: of its data sets by name, in the mixture's order.

    Raises:
        UserError: the common layout is wider than the config allows.
    """
    action = common([trained_on(config, c) for c in cards.values()], config.action_width, "action")
    proprio = common([c.state.layout for c in cards.values()], config.proprio_width, "proprio")
    embodiments = tuple(dict.fromkeys(card.embodiment for card in cards.values()))
    seats = tuple(
        Seat(
            name=name,
            cameras=config.cameras,
            views=views_of(card, config.cameras),
            action=Places(tuple(action.places[number].tolist()), action.width),
            proprio=Places(tuple(proprio.places[number].tolist()), proprio.width),
            embodiment=embodiments.index(card.embodiment),
            hz=card.hz if config.rate_hz is None else config.rate_hz,
        )
        for number, (name, card) in enumerate(cards.items())
    )
    return Seating(seats, action, proprio, embodiments)


def cards_in(statistics: MixedStatistics) -> dict[str, Card]:
    """The cards that a mixture's statistics were computed by, in the mixture's order."""
    return {
        name: card_from(own.fingerprint["selection"]["card"])
        for name, own in statistics.members.items()
    }
