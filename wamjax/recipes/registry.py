"""All recipes; a new system is a file and a row here."""

from wamjax.core.errors import UserError
from wamjax.recipes import (
    cosmos_policy,
    dreamzero,
    fast_wam,
    ge_act,
    hidden,
    lingbot_va,
    motus,
    octo,
    openvla_oft,
    pi,
    ript_vla,
    univla,
    uwm,
    vla_jepa,
    x_vla,
)
from wamjax.recipes.blueprint import Recipe

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for file in (
        pi,
        openvla_oft,
        ript_vla,
        univla,
        x_vla,
        octo,
        motus,
        vla_jepa,
        ge_act,
        cosmos_policy,
        lingbot_va,
        dreamzero,
        fast_wam,
        uwm,
        hidden,
    )
    for recipe in file.RECIPES
}


def find_recipe(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        UserError: there is none.
    """
    if name not in RECIPES:
        raise UserError(f"recipe {name!r} does not exist; known recipes: {', '.join(RECIPES)}.")
    return RECIPES[name]
