"""How a data set's numbers are read: by the card that the user names, or by keys alone.

Which actions are real: RLDS leaves the action of the step marked `is_last` undefined, so it is
masked. An episode whose last step is not marked was cut short there (octo's Bridge sample: ten
steps of longer episodes), and that step's action is as good as the others.
"""

import dataclasses
import functools
import pathlib
import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np

from wamjax.core.errors import UserError
from wamjax.data.cards.card import Card, read_card
from wamjax.data.cards.fitting import check_card
from wamjax.data.cards.prepared import Prepared, last_of, prepare, texts_of
from wamjax.data.cards.relative import Relative, relative_of
from wamjax.data.cards.striding import stride
from wamjax.data.config import DataConfig
from wamjax.data.sources.source import RawEpisode, Source
from wamjax.data.split import shows_actions

# What may stand before a key: RLDS nests by "/", LeRobot by ".".
BEFORE = ("", "observation/", "observation.", "observation.images.")


@dataclasses.dataclass(frozen=True)
class Reading:
    """What is read of a data set.

    Attributes:
        cameras: names of the image features, without "steps/".
        prepare: an episode -> its numbers; ValueError where it cannot be used.
        card, table: of the data set, read and as it is written; None without one.
        relative: how actions are told relative to states; None where they are not.
    """

    cameras: tuple[str, ...]
    prepare: Callable[[RawEpisode], Prepared]
    card: Card | None = None
    table: dict[str, Any] | None = None
    relative: Relative | None = None


def find_key(source: Source, key: str, kind: str, setting: str) -> str:
    """The step feature that `key` names, without "steps/".

    Raises:
        UserError: there is none of that kind; the sentence lists those there are.
    """
    for before in BEFORE:
        name = before + key
        path = f"steps/{name}"
        if path in source.features and source.features[path].kind == kind:
            return name
    known = ", ".join(
        path.removeprefix("steps/")
        for path, feature in source.features.items()
        if path.startswith("steps/") and feature.kind == kind
    )
    raise UserError(
        f"data.{setting} = {key!r} is no {kind} feature in {source.named_in}: choose from "
        f"{known or 'none, there is no such feature'}."
    )


def reading_of(config: DataConfig, source: Source) -> Reading:
    """By the card, or else by the keys, of the config; what it hides is hidden.

    Raises:
        UserError: see `by_card` and `by_keys`.
    """
    found = by_card(config, source) if config.card else by_keys(config, source)
    if config.action_share == 1.0:
        return found

    def hiding(episode: RawEpisode) -> Prepared:
        made = found.prepare(episode)
        if shows_actions(episode.content(), config.holdout, config.action_share):
            return made
        return dataclasses.replace(made, action_ok=np.zeros_like(made.action_ok))

    return dataclasses.replace(found, prepare=hiding)


def by_card(config: DataConfig, source: Source) -> Reading:
    """As the card `config.card` says.

    Raises:
        UserError: the card cannot be read, it names no such camera, or the data are others.
    """
    card = read_card(config.card)
    if config.every is not None:
        card = dataclasses.replace(card, stride=config.every)
        layout = card.action.layout
        try:
            stride(np.zeros((1, len(layout))), layout, card.stride)
        except ValueError as error:
            raise UserError(
                f"{config.card}: {config.every} steps cannot be one: {error}."
            ) from error
    check_card(card, config.card, source)
    roles = card.cameras.roles
    for role in config.cameras:
        if role not in roles:
            raise UserError(
                f"data.cameras names {role!r}, and the card {config.card} has "
                f"{', '.join(roles) or 'none'}: choose from those."
            )
    cameras = tuple(find_key(source, roles[role], "image", "cameras") for role in config.cameras)
    table = tomllib.loads(pathlib.Path(config.card).read_text(encoding="utf-8"))
    relative = relative_by(config, card)
    ready = functools.partial(_by_card, card=card, relative=relative)
    return Reading(cameras, ready, card, table, relative)


def relative_by(config: DataConfig, card: Card | None) -> Relative | None:
    """How the actions are told relative to states; None where the config does not ask for it.

    Raises:
        UserError: there is no card, or nothing of its action can be told so.
    """
    if not config.relative:
        return None
    if card is None:
        raise UserError("data.relative needs to know what the numbers mean: give data.card.")
    try:
        relative = relative_of(card)
    except ValueError as error:
        raise UserError(f"{config.card}: {error}; correct it, or data.relative.") from error
    if relative.empty:
        raise UserError(
            f"{config.card} has no number of an action that is absolute and that the state has "
            "too: leave data.relative out."
        )
    return relative


def _by_card(episode: RawEpisode, *, card: Card, relative: Relative | None) -> Prepared:
    made = prepare(card, episode)
    if relative is not None:
        relative.check(made.actions[made.action_ok], made.proprio)
    return made


def by_keys(config: DataConfig, source: Source) -> Reading:
    """As the keys of the config say.

    Raises:
        UserError: there is no such feature, or actions would have to be added up without a card.
    """
    every = 1 if config.every is None else config.every
    if every > 1 and config.action_key is not None:
        raise UserError(
            "data.every adds actions up, which needs to know what they mean: give data.card."
        )
    kinds = (("action_key", "number"), ("proprio_key", "number"), ("instruction_key", "text"))
    names = {}
    for setting, kind in kinds:
        key = getattr(config, setting)
        names[setting] = None if key is None else find_key(source, key, kind, setting)
    cameras = tuple(find_key(source, key, "image", "cameras") for key in config.cameras)
    return Reading(cameras, functools.partial(_by_keys, every=every, **names))


def _by_keys(
    episode: RawEpisode,
    *,
    every: int,
    action_key: str | None,
    proprio_key: str | None,
    instruction_key: str | None,
) -> Prepared:
    length = episode.length
    ok = np.full(length, action_key is not None)
    ok &= ~last_of(episode)
    words = [""] * length
    if instruction_key is not None:
        words = texts_of(episode.steps[instruction_key], instruction_key, np.arange(length))
    return Prepared(
        actions=_numbers(episode, action_key)[::every],
        action_ok=ok[::every],
        proprio=_numbers(episode, proprio_key)[::every],
        texts=(words[::every],),
        kept=np.arange(0, length, every),
    )


def _numbers(episode: RawEpisode, name: str | None) -> np.ndarray:
    """float32 [T, width], of width 0 where there are none."""
    if name is None:
        return np.zeros((episode.length, 0), np.float32)
    rows = np.asarray(episode.steps[name], np.float32).reshape(episode.length, -1)
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise ValueError(f"steps/{name} is not finite at step {int(bad.argmax())}")
    return rows
