"""Which data sets a mixture is of: a TOML file, one table for each mixture.

    [name]
    source = "where the weights are from"
    weights = { bridge_dataset = 1.0, droid = 0.06 }     data set (or card) -> weight
    dirs = { droid = "droid/1.0.1" }                     where it stands below data.root
    note = "..."

A weight multiplies the number of windows, so that 1 is the natural size. Without a word in `dirs`
the directory is ROOT/NAME (or ROOT/NAME_converted_externally_to_rlds), or the version directory in
it; its card is CARDS/NAME.toml.
"""

import dataclasses
import fractions
import pathlib
import tomllib
from typing import Any

from wamjax.core.errors import UserError
from wamjax.data.cards.card import SUFFIX, Card, read_card
from wamjax.data.cards.relative import relative_of
from wamjax.data.config import DataConfig
from wamjax.data.files.paths import Location, location
from wamjax.data.windows.seats import views_of

FIELDS = ("source", "note", "weights", "dirs")
CLOSE = 0.01  # of a rate that counts as equal


@dataclasses.dataclass(frozen=True)
class Member:
    """A data set of a mixture.

    Attributes:
        name: in the mixture.
        weight: of its windows.
        card: what is known about it.
        config: of its windows; `cameras` are those of the mixture that it has.
        views: where these stand among the mixture's cameras.
    """

    name: str
    weight: fractions.Fraction
    card: Card
    config: DataConfig
    views: tuple[int, ...]


def read_mixtures(path: str | pathlib.Path) -> dict[str, dict[str, Any]]:
    """All mixtures of a file, checked; weights are exact.

    Raises:
        UserError: no such file, not TOML, or a mixture that is none.
    """
    file = pathlib.Path(path)
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"), parse_float=fractions.Fraction)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): give data.mixtures.") from error
    except ValueError as error:
        raise UserError(f"{file} is not TOML ({error}): correct it.") from error
    return {name: _checked(file, name, table) for name, table in tables.items()}


def _checked(file: pathlib.Path, name: str, table: Any) -> dict[str, Any]:
    def wrong(what: str) -> UserError:
        return UserError(f"{file}: mixture {name!r} {what}; correct the file.")

    if not isinstance(table, dict) or "weights" not in table:
        raise wrong("has no table of weights")
    whole = {"dirs": {}, **table}
    weights, dirs = whole["weights"], whole["dirs"]
    if not isinstance(weights, dict):
        raise wrong("has no table of weights")
    for field in table:
        if field not in FIELDS:
            raise wrong(f"has an unknown field {field!r} (known: {', '.join(FIELDS)})")
    exact = {}
    for member, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | fractions.Fraction):
            raise wrong(f"gives {member} the weight {weight!r}, which is no number")
        if weight <= 0:
            raise wrong(f"gives {member} a weight that is not above 0")
        exact[member] = fractions.Fraction(weight)
    if not isinstance(dirs, dict) or any(type(text) is not str for text in dirs.values()):
        raise wrong("has dirs that are no names of directories")
    for member in dirs:
        if member not in exact:
            raise wrong(f"names a directory of {member}, which has no weight")
    if not exact:
        raise wrong("has no data set")
    return {**whole, "weights": exact, "dirs": {name: name for name in exact} | whole["dirs"]}


def members_of(config: DataConfig) -> tuple[Member, ...]:
    """The data sets of `config.mixture`, in the order of the file.

    Raises:
        UserError: no such mixture, a data set or card that is not there, no camera of those asked
            for, or a rate that steps cannot be brought to.
    """
    table = _table(config)
    members = tuple(_member(config, name, table) for name in table["weights"])
    if config.relative and not any(member.config.relative for member in members):
        raise UserError(
            f"No data set of {config.mixture} has a number of an action that is absolute and that "
            "the state has too: leave data.relative out."
        )
    return members


def member_of(config: DataConfig, name: str, directory: str | None = None) -> Member:
    """One data set of `config.mixture`; the others need not be there.

    Args:
        config: of the mixture.
        name: which.
        directory: where it stands, if not where the mixture says.

    Raises:
        UserError: see `members_of`, or the mixture has no such data set.
    """
    table = _table(config)
    if name not in table["weights"]:
        raise UserError(
            f"{config.mixtures}: mixture {config.mixture!r} has no {name!r} any more; restore it."
        )
    if directory is None:
        return _member(config, name, table)
    return _member(config, name, table, location(directory))


def _table(config: DataConfig) -> dict[str, Any]:
    """The mixture as it stands in its file."""
    mixtures = read_mixtures(config.mixtures)
    if config.mixture not in mixtures:
        known = ", ".join(mixtures) or "none"
        raise UserError(
            f"{config.mixtures} has no mixture {config.mixture!r}: choose one of {known}."
        )
    return mixtures[config.mixture]


def _member(
    config: DataConfig, name: str, table: dict[str, Any], directory: Location | None = None
) -> Member:
    """A data set, where the mixture says that it stands or in `directory`."""
    file = pathlib.Path(config.cards) / f"{name}.toml"
    card = read_card(file)
    views = views_of(card, config.cameras)
    if not views:
        raise UserError(
            f"{name} has none of the cameras {', '.join(config.cameras)} (its card names "
            f"{', '.join(card.cameras.roles) or 'none'}): add one to data.cameras."
        )
    place = location(config.root) / table["dirs"][name] if directory is None else directory
    try:
        # A data set of changes alone is what it is without the setting.
        relative = config.relative and not relative_of(card).empty
    except ValueError as error:
        raise UserError(f"{file}: {error}; correct it, or data.relative.") from error
    own = dataclasses.replace(
        config,
        mixture="",
        relative=relative,
        rate_hz=None,
        dir=str(_directory(place, card)),
        card=str(file),
        every=_every(name, card, config.rate_hz),
        cameras=tuple(config.cameras[view] for view in views),
        action_width=None,
        proprio_width=None,
        cache_bytes=config.cache_bytes // len(table["weights"]),
    )
    return Member(name, table["weights"][name], card, own, views)


def _directory(path: Location, card: Card) -> Location:
    """The directory, or the version in it: the card's, else the newest."""
    whole = path.with_name(path.name + SUFFIX)
    if not path.is_dir() and whole.is_dir():
        path = whole
    if not path.is_dir():
        raise UserError(f"{path} is not a directory: set data.root, or dirs in the mixture.")
    versions = sorted(
        (p for p in path.iterdir() if (p / "dataset_info.json").is_file()), key=_number
    )
    if not versions:
        return path
    if card.version is None:
        return versions[-1]
    if path / card.version not in versions:
        raise UserError(f"{path} has no version {card.version}, which its card asks for: get it.")
    return path / card.version


def _number(path: Location) -> tuple[int, ...]:
    return tuple(int(part) for part in path.name.split(".") if part.isdecimal())


def _every(name: str, card: Card, rate: float | None) -> int | None:
    """Recorded steps that become one, so that there are `rate` a second."""
    if rate is None:
        return None
    if card.control_hz is None:
        raise UserError(f"the card of {name} does not say its rate: leave data.rate_hz out.")
    wanted = card.control_hz / rate
    if wanted < 1 - CLOSE or abs(wanted - round(wanted)) > CLOSE * wanted:
        raise UserError(
            f"{name} has {card.control_hz:g} steps a second, which cannot be brought to "
            f"{rate:g}: choose a data.rate_hz that divides it."
        )
    return round(wanted)
