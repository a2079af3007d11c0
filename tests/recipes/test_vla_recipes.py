"""The policies without video: published rules, caches, leaks and gradients."""

import pytest

from tests.recipes.conformance import (
    check_cache,
    check_gradients,
    check_leaks,
    check_visibility,
    tiny,
)
from wamjax.model.segments import Segment

NAMES = ["pi0", "pi05", "openvla_oft", "x_vla", "octo"]


def pi(q: Segment, k: Segment, same: bool) -> bool:
    del same
    order = {"image": 0, "word": 0, "proprio": 1, "action": 2}
    return order[k.stream] <= order[q.stream]


def everything(q: Segment, k: Segment, same: bool) -> bool:
    del q, k, same
    return True


def x_vla(q: Segment, k: Segment, same: bool) -> bool:
    del q, k, same
    # The table serves both stacks; only its reader half exists in the reader.
    return True


def octo(q: Segment, k: Segment, same: bool) -> bool:
    if "action" in (q.stream, k.stream):
        return same
    if k.stream == "register":
        return same
    if q.stream == "text" or k.stream == "text":
        return k.stream == "text"
    return k.block <= q.block


RULES = {"pi0": pi, "pi05": pi, "openvla_oft": everything, "x_vla": x_vla, "octo": octo}


@pytest.mark.parametrize("name", NAMES)
def test_visibility_is_the_published_rule(name):
    blueprint = tiny(name)
    check_visibility(blueprint, blueprint.training, RULES[name])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_hidden_changes_nothing(name):
    check_leaks(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_cache_changes_nothing(name):
    check_cache(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_input_and_every_weight_matters(name):
    check_gradients(name)
