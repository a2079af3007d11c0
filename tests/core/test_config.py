"""The config bridge: what goes in comes out, and every slip is refused in one sentence."""

import dataclasses
from typing import Literal

import pytest
from absl import flags
from ml_collections import config_flags  # noqa: TID251

from wamjax.core.config import (
    difference,
    fingerprint,
    from_flags,
    from_json,
    to_flags,
    to_json,
)
from wamjax.core.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate must not be negative, got {self.rate}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    steps: int = 3
    flag: bool = False
    maybe: int | None = None
    pair: tuple[int, str] = (1, "x")
    many: tuple[float, ...] = (1.0,)
    inner: Inner = Inner()
    stages: tuple[Inner, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    name: str
    width: int = 8
    inside: tuple["Part", ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole:
    parts: tuple[Part, ...] = (
        Part(name="z", inside=(Part(name="b"), Part(name="a"))),
        Part(name="c"),
    )


CONFIG = Outer(name="n", maybe=4, stages=(Inner(kind="b"),))


@pytest.mark.parametrize("config", [CONFIG, Outer(name="m")])
def test_flags_and_json_are_inverse(config):
    assert from_flags(Outer, to_flags(config)) == config
    assert from_json(Outer, to_json(config)) == config
    assert hash(from_json(Outer, to_json(config))) == hash(config)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("steps", 1.5, "config.steps must be int"),
        ("steps", True, "config.steps must be int"),
        ("flag", 1, "config.flag must be bool"),
        ("maybe", "four", "config.maybe must be int"),
        ("name", None, "config.name must be str"),
        ("pair", (1,), "must have 2 elements"),
        ("pair", (1, 2), r"config.pair\[1\] must be str"),
        ("many", (1.0, "x"), r"config.many\[1\] must be float"),
        ("many", 1.0, "must be a tuple"),
        ("inner.kind", "c", "must be one of 'a', 'b'"),
        ("inner.rate", -1.0, "rate must not be negative"),
        ("inner", 3, "must be a group"),
        ("stages", (3,), r"config.stages\[0\] must be a group"),
    ],
)
def test_a_wrong_value_is_refused(path, value, sentence):
    table = to_json(CONFIG)
    place = table
    *outer, last = path.split(".")
    for key in outer:
        place = place[key]
    place[last] = value
    with pytest.raises(UserError, match=sentence):
        from_flags(Outer, table)


def test_unknown_and_missing_keys_are_refused():
    with pytest.raises(UserError, match=r"config\.stpes is not a setting"):
        from_flags(Outer, {**to_json(CONFIG), "stpes": 1})
    table = to_json(CONFIG)
    del table["steps"]
    with pytest.raises(UserError, match=r"config\.steps is missing"):
        from_flags(Outer, table)


def test_an_int_widens_to_a_float_and_the_flags_are_locked():
    assert from_flags(Outer, {**to_json(CONFIG), "inner": {"rate": 1, "kind": "a"}}).inner.rate == 1
    with pytest.raises(AttributeError):
        to_flags(CONFIG).stpes = 1


def test_differences_are_named_by_path():
    other = dataclasses.replace(CONFIG, steps=4, inner=Inner(kind="b"))
    rows = difference(to_json(CONFIG), to_json(other))
    assert rows == [("inner.kind", "a", "b"), ("steps", 3, 4)]
    assert fingerprint(to_json(CONFIG)) != fingerprint(to_json(other))
    assert difference({"a": 1}, {"b": 1}) == [("a", 1, "absent"), ("b", "absent", 1)]


def test_named_parts_are_groups_that_keep_their_order_and_can_be_reached():
    flags = to_flags(Whole())
    assert from_flags(Whole, flags) == Whole()
    flags.parts.z.inside.a.width = 5
    changed = from_flags(Whole, flags)
    assert [part.name for part in changed.parts[0].inside] == ["b", "a"]
    assert [part.width for part in changed.parts[0].inside] == [8, 5]


def test_parts_of_one_name_stay_a_tuple():
    twins = Whole(parts=(Part(name="a"), Part(name="a", width=3)))
    assert from_flags(Whole, to_flags(twins)) == twins


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optional:
    way: Literal["short", "long"] | None = None
    places: tuple[int, ...] | None = None
    share: float | None = None


def test_optional_settings_can_be_given_as_flags():
    given, values = to_flags(Optional()), flags.FlagValues()
    argv = ["any", "--config.way=long", "--config.places=(0,2)", "--config.share=0.5"]
    config_flags.DEFINE_config_dict("config", given, flag_values=values, sys_argv=argv)
    values(argv)
    assert from_flags(Optional, values.config) == Optional(way="long", places=(0, 2), share=0.5)
    assert from_flags(Optional, to_flags(Optional())) == Optional()
