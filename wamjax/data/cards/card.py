"""A card: what is known about one data set, as a TOML file that the user names.

    card.transforms            recorded columns -> columns in one convention, in the order given
    card.action, card.state    columns side by side, and what each of their numbers means

A gripper with unit 1 ends as 1 open, 0 closed, absolute. A card is checked when it is read: unknown
fields, wrong types, columns that do not exist, widths that disagree with the layout.
"""

import dataclasses
import pathlib
import tomllib
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from wamjax.core.config import from_flags
from wamjax.core.errors import UserError
from wamjax.data.cards.columns import KEPT, Widths, count, width_of
from wamjax.data.cards.layout import Layout, parse
from wamjax.data.cards.striding import stride
from wamjax.data.cards.transforms import TRANSFORMS, Transform

Gripper = Literal["open_is_1", "closed_is_1", "closing_is_positive", "width", "none", "unknown"]
SUFFIX = "_converted_externally_to_rlds"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cameras:
    """Image keys by what the camera sees; None where there is no such camera."""

    primary: str | None = None
    secondary: str | None = None
    top: str | None = None
    head: str | None = None
    wrist: str | None = None
    wrist_left: str | None = None
    wrist_right: str | None = None

    @property
    def roles(self) -> dict[str, str]:
        """Role -> key of the cameras there are, in the order above."""
        return {role: key for role, key in dataclasses.asdict(self).items() if key is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantity:
    """Numbers of each step.

    Attributes:
        keys: the columns they stand in, after the transforms; none if the data have none.
        layout: what each of them means.
    """

    keys: tuple[str, ...]
    layout: Layout

    @property
    def normalise(self) -> tuple[bool, ...]:
        """Which numbers statistics may move: all but grippers between 0 and 1."""
        return tuple(not dim.fraction for dim in self.layout)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What a card says of its data set, beside the numbers.

    Attributes:
        name: of the card.
        names: of the data sets it describes, without "_converted_externally_to_rlds".
        format: what the keys are keys of.
        version: the only one to be used, where others are known to differ; None for any.
        robot: in words.
        embodiment: data sets with the same name here share a robot.
        control_hz: steps a second as recorded; None where it is not known.
        stride: recorded steps that become one.
        cameras: see `Cameras`.
        instruction: the column of the text; None if there is none. Of several columns, of which
            some may be empty, each window is told one (data.windows.instructions).
        informative: whether the text says what is to be done; if not it is left out.
        gripper: what the recorded command is, before the transforms.
        licence: of the data; None where it is not known.
        citation: a paper or a place.
        sources: where the facts are from.
        defects: what is known to be wrong with the data or with what others make of them.
        unverified: what is said here without having been checked.
    """

    name: str
    names: tuple[str, ...]
    format: Literal["rlds", "lerobot", "hdf5"] = "rlds"
    version: str | None = None
    robot: str
    embodiment: str
    control_hz: float | None = None
    stride: int = 1
    cameras: Cameras
    instruction: str | tuple[str, ...] | None = None
    informative: bool = True
    gripper: Gripper
    licence: str | None = None
    citation: str
    sources: tuple[str, ...]
    defects: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card(Facts):
    """One data set of one robot.

    Attributes:
        raw: the columns that are read -> numbers a step, "text" or "packed".
        transforms: in order.
        action, state: see `Quantity`.
    """

    raw: Widths
    transforms: tuple[Transform, ...]
    action: Quantity
    state: Quantity

    @property
    def hz(self) -> float | None:
        """Steps a second after the stride."""
        return None if self.control_hz is None else self.control_hz / self.stride

    @property
    def instructions(self) -> tuple[str, ...]:
        """The columns of texts that say what is to be done."""
        if self.instruction is None or not self.informative:
            return ()
        return (self.instruction,) if isinstance(self.instruction, str) else self.instruction

    def describes(self, name: str) -> bool:
        """Whether the data set `name` is one of this card's."""
        return name.removesuffix(SUFFIX) in self.names


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Written:
    """A quantity as it stands in the file."""

    keys: tuple[str, ...] = ()
    layout: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _File(Facts):
    """A file without its columns and transforms, which are read by themselves."""

    action: _Written
    state: _Written


def read_card(path: str | pathlib.Path) -> Card:
    """The card in a TOML file.

    Raises:
        UserError: no such file, not TOML, or anything in it that does not fit; the sentence names
            the field.
    """
    file = pathlib.Path(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): give a card's file.") from error
    except ValueError as error:
        raise UserError(f"{file} is not TOML ({error}): correct it.") from error
    try:
        return card_from(table)
    except (UserError, ValueError) as error:
        raise UserError(f"{file}: {str(error).rstrip('.')}; correct the card.") from error


def card_from(table: Mapping[str, Any]) -> Card:
    """The card that a table describes.

    Raises:
        UserError, ValueError: something does not fit; the text names the field.
    """
    own = {"raw", "transforms"}
    rest = from_flags(_File, _complete(_File, _without(table, own)), "card")
    given = {"raw": {}, "transforms": [], **table}
    raw, transforms = _raw(given["raw"]), _transforms(given["transforms"])
    widths = raw
    for place, transform in enumerate(transforms):
        try:
            widths = transform.widths(widths)
        except ValueError as error:
            raise ValueError(f"transforms[{place}] ({transform.name}): {error}") from error
    fields = {field.name: getattr(rest, field.name) for field in dataclasses.fields(rest)}
    fields["action"] = _quantity("action", rest.action, widths)
    fields["state"] = _quantity("state", rest.state, widths)
    card = Card(**fields, raw=raw, transforms=transforms)
    _check(card, widths)
    return card


def _without(table: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in names}


def _complete(schema: type, table: Any) -> Any:
    """The table with the schema's defaults where it says nothing, in its groups, too."""
    if not isinstance(table, Mapping):
        return table
    hints = typing.get_type_hints(schema)
    out = {
        field.name: field.default
        for field in dataclasses.fields(typing.cast(Any, schema))
        if field.default is not dataclasses.MISSING
    } | dict(table)
    for name, kind in hints.items():
        if dataclasses.is_dataclass(kind) and name in out:
            out[name] = _complete(typing.cast(type, kind), out[name])
    return out


def _raw(table: Any) -> Widths:
    if not isinstance(table, Mapping):
        raise ValueError(f"raw must be a group of columns, got {table!r}")
    for key, width in table.items():
        if key == KEPT:
            raise ValueError(f"raw: {KEPT!r} is taken")
        if width not in ("text", "packed") and (type(width) is not int or width < 1):
            raise ValueError(f'raw: {key!r} must be numbers a step, "text" or "packed": {width!r}')
    return dict(table)


def _transforms(tables: Any) -> tuple[Transform, ...]:
    if not isinstance(tables, Sequence) or isinstance(tables, str):
        raise ValueError(f"transforms must be a list, got {tables!r}")
    out = []
    for place, table in enumerate(tables):
        where = f"transforms[{place}]"
        if not isinstance(table, Mapping) or "do" not in table:
            raise ValueError(f'{where} must be a group with a "do"')
        if table["do"] not in TRANSFORMS:
            raise ValueError(
                f"{where}: do must be one of {', '.join(TRANSFORMS)}, got {table['do']!r}"
            )
        kind = TRANSFORMS[table["do"]]
        out.append(from_flags(kind, _complete(kind, _without(table, {"do"})), where))
    return tuple(out)


def _quantity(what: str, written: _Written, widths: Widths) -> Quantity:
    try:
        layout = parse(written.layout)
        found = sum(count(widths, key) for key in written.keys)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    if found != len(layout):
        raise ValueError(
            f"{what}: the layout has {len(layout)} numbers, {' + '.join(written.keys)} {found}"
        )
    return Quantity(keys=written.keys, layout=layout)


def _check(card: Card, widths: Widths) -> None:
    if not card.names:
        raise ValueError("names is empty")
    for name in card.names:
        if name.endswith(SUFFIX):
            raise ValueError(f"names: write {name!r} without {SUFFIX!r}")
    told = (card.instruction,) if isinstance(card.instruction, str) else card.instruction
    if told is not None and (not told or len(set(told)) != len(told)):
        raise ValueError(f"instruction must be different columns, got {list(told)}")
    for key in told or ():
        if width_of(widths, key) != "text":
            raise ValueError(f"instruction: {key!r} is no text")
    keys = list(card.cameras.roles.values())
    if len(set(keys)) != len(keys):
        raise ValueError(f"cameras: one key has two roles in {', '.join(keys)}")
    if card.control_hz is not None and card.control_hz <= 0:
        raise ValueError(f"control_hz must be above 0, got {card.control_hz:g}")
    if card.stride < 1:
        raise ValueError(f"stride must be at least 1, got {card.stride}")
    # Says at once if the actions of several steps cannot be one.
    stride(np.zeros((1, len(card.action.layout))), card.action.layout, card.stride)
