"""Whether a card is of a data set, asked before any episode is read.

    version   the card's, where it asks for one and the data have one of their own
    columns   every raw column of the card is a step feature, of its kind and of its width

The name alone refuses nothing: copies and excerpts of a data set go by other names. Where a column
does not fit, the sentence says that the card is of other data.
"""

from wamjax.core.errors import UserError
from wamjax.data.cards.card import Card
from wamjax.data.cards.columns import Width
from wamjax.data.files.schema import Feature
from wamjax.data.sources.source import Source

# What these kinds of data set call their version is that of their format, or nothing.
UNVERSIONED = ("lerobot", "video")


def check_card(card: Card, file: str, source: Source) -> None:
    """Refuse a card that cannot be of these data.

    Args:
        card: as it was read from `file`.
        file: to be named.
        source: the data.

    Raises:
        UserError: another version, or a column that is missing or of another kind or width; the
            sentence names both sides.
    """
    told = source.description
    if told.file_format not in UNVERSIONED and card.version not in (None, told.version):
        raise UserError(
            f"{source.directory} is version {told.version}, and the card {file} is of version "
            f"{card.version}: get that one."
        )
    other = ""
    if not card.describes(told.name):
        other = f", which describes {', '.join(card.names)} and not {told.name}"
    for key, width in card.raw.items():
        path = f"steps/{key}"
        found = _found(source.features[path]) if path in source.features else "is missing"
        if found not in _wanted(width):
            raise UserError(
                f"{path} {found} in {source.named_in}, and {_wanted(width)[0]} in the card "
                f"{file}{other}: give the card of these data, or correct it."
            )


def _found(feature: Feature) -> str:
    """What the data say of a column."""
    match feature.kind:
        case "number":
            return _numbers(feature.width)
        case kind:
            return f"is {kind}"


def _wanted(width: Width) -> tuple[str, ...]:
    """What the data may say of a column, the card's own words first."""
    if isinstance(width, int):
        return (_numbers(width),)
    # Both are a string of bytes at each step.
    return tuple(f"is {kind}" for kind in dict.fromkeys((width, "text", "packed")))


def _numbers(width: int) -> str:
    return f"has {width} numbers a step"
