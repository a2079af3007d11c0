"""All checkpoint families by name; each module adds its own here."""

from collections.abc import Mapping

from wamjax.core.errors import UserError
from wamjax.pretrained import (
    codecs,
    cosmos,
    dreamzero,
    encoders,
    fast_wam,
    ge_act,
    lingbot_va,
    ltx,
    motus,
    openpi,
    wan,
)
from wamjax.pretrained.family import Family

FAMILIES: Mapping[str, Family] = {
    family.name: family
    for module in (
        wan,
        cosmos,
        ltx,
        fast_wam,
        lingbot_va,
        dreamzero,
        motus,
        ge_act,
        openpi,
        codecs,
        encoders,
    )
    for family in module.FAMILIES
}


def family_of(name: str) -> Family:
    """The family of a name.

    Raises:
        UserError: there is none.
    """
    if name not in FAMILIES:
        raise UserError(f"there is no family {name!r}; there are {', '.join(FAMILIES)}.")
    return FAMILIES[name]
