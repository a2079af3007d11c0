"""Configs: frozen keyword-only dataclasses inside, a locked ConfigDict at the door.

`to_flags` turns a dataclass into a locked `ml_collections.ConfigDict`, which the command line may
override; `from_flags` turns it back and closes what ConfigDict leaves open: unknown and missing
keys, exact types, `Literal` members, tuple arity and elements, None only where it is allowed. An
int is widened to a float and nothing else is converted.
"""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

import ml_collections  # noqa: TID251
from ml_collections import config_dict  # noqa: TID251  (this file is the door)

from wamjax.core.errors import UserError

T = TypeVar("T")
LATER = "later"  # in a field's metadata, see `later`
ConfigDict = ml_collections.ConfigDict


def to_dict(config: Any) -> dict[str, Any]:
    """Nested plain dict of a config dataclass; tuples stay tuples."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value


def _named(value: Any) -> dict[str, Any] | None:
    """A tuple of dataclasses whose first fields name them, by name; None for other values."""
    if not isinstance(value, tuple) or not value:
        return None
    if not all(dataclasses.is_dataclass(item) for item in value):
        return None
    names = [getattr(item, dataclasses.fields(item)[0].name) for item in value]
    if len({*names}) < len(names) or not all(isinstance(name, str) for name in names):
        return None
    return dict(zip(names, value, strict=True))


def to_flags(config: Any) -> ConfigDict:
    """A locked ConfigDict with the same keys; optional scalars get typed placeholders.

    A tuple of dataclasses becomes a group with one key per item: the item's first field, which
    names it, so that `--config.model.stacks.main.depth=4` can reach into it.
    """
    # Sorted keys would lose the order of such a tuple.
    out = ConfigDict(sort_keys=False)
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        named = _named(value)
        if dataclasses.is_dataclass(value):
            out[field.name] = to_flags(value)
        elif named is not None:
            group = ConfigDict(sort_keys=False)
            for key, item in named.items():
                group[key] = to_flags(item)
            out[field.name] = group.lock()
        elif value is None:
            kinds = [k for k in _union_members(hints[field.name]) if k is not type(None)]
            out[field.name] = config_dict.placeholder(_scalar(kinds[0]) if kinds else object)
        else:
            out[field.name] = _plain(value)
    out.lock()
    return out


def _scalar(kind: Any) -> type:
    """The type that a flag of that kind is read as; object for what a flag cannot say."""
    if typing.get_origin(kind) is Literal:
        return type(typing.get_args(kind)[0])
    if typing.get_origin(kind) is tuple:
        return tuple
    return kind if kind in (int, float, str, bool) else object


def later(default: Any) -> Any:
    """The field of a setting that configs from before it was there may lack."""
    return dataclasses.field(default=default, metadata={LATER: True})


def from_flags(schema: type[T], flags: ConfigDict | Mapping[str, Any], path: str = "config") -> T:
    """The config of class `schema` that `flags` describes.

    Raises:
        UserError: unknown or missing key, wrong type, value that is not one of the choices.
    """
    if not isinstance(flags, Mapping | ConfigDict):
        raise UserError(f"{path} must be a group of settings, got {flags!r}.")
    hints = typing.get_type_hints(schema)
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, schema))}
    for key in flags:
        if key not in fields:
            known = ", ".join(sorted(fields))
            raise UserError(f"{path}.{key} is not a setting; {path} has: {known}.")
    values = {}
    for name, field in fields.items():
        if name not in flags and (field.default is None or LATER in field.metadata):
            # It did not exist when this was written.
            values[name] = field.default
            continue
        if name not in flags:
            raise UserError(f"{path}.{name} is missing; every setting must be given.")
        values[name] = _checked(hints[name], flags[name], f"{path}.{name}")
    try:
        return schema(**values)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _union_members(kind: Any) -> tuple[Any, ...]:
    if typing.get_origin(kind) in (Union, types.UnionType):
        return typing.get_args(kind)
    return (kind,)


def _checked(kind: Any, value: Any, path: str) -> Any:
    members = _union_members(kind)
    if value is None and type(None) in members:
        return None
    failures = []
    groups = [member for member in members if dataclasses.is_dataclass(member)]
    if groups:
        # Of several kinds of group, the one that has most of the keys.
        keys = {*value} if isinstance(value, Mapping | ConfigDict) else set()
        nearest = max(groups, key=lambda g: len(keys & {f.name for f in dataclasses.fields(g)}))
        return from_flags(typing.cast(type, nearest), typing.cast(Any, value), path)
    for member in members:
        if member is type(None):
            continue
        try:
            return _checked_leaf(member, value, path)
        except UserError as error:
            failures.append(str(error))
    raise UserError(failures[0])


def _checked_leaf(kind: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(kind)
    if origin is Literal:
        choices = typing.get_args(kind)
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            raise UserError(
                f"{path} must be one of {', '.join(map(repr, choices))}, got {value!r}."
            )
        return value
    if origin is tuple:
        return _checked_tuple(typing.get_args(kind), value, path)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        name = kind.__name__ if isinstance(kind, type) else str(kind)
        raise UserError(f"{path} must be {name}, got {value!r} ({type(value).__name__}).")
    return value


def _checked_tuple(kinds: tuple[Any, ...], value: Any, path: str) -> tuple:
    if isinstance(value, Mapping | ConfigDict) and dataclasses.is_dataclass(kinds[0]):
        return tuple(_checked(kinds[0], value[key], f"{path}.{key}") for key in value)
    if not isinstance(value, tuple | list):
        raise UserError(f"{path} must be a tuple, got {value!r}.")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise UserError(f"{path} must have {len(kinds)} elements, got {len(value)}.")
    return tuple(
        _checked(kind, item, f"{path}[{place}]")
        for place, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def to_json(config: Any) -> Any:
    """JSON value of a config (tuples become lists)."""
    return json.loads(json.dumps(to_dict(config)))


def from_json(schema: type[T], value: Any) -> T:
    """The inverse of `to_json`; checked like `from_flags`."""
    return from_flags(schema, value)


def difference(ours: Any, theirs: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """(path, ours, theirs) for every leaf at which two JSON values differ."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        rows = []
        for key in sorted({*ours, *theirs}):
            inner = f"{path}.{key}" if path else str(key)
            if key not in ours:
                rows.append((inner, "absent", theirs[key]))
            elif key not in theirs:
                rows.append((inner, ours[key], "absent"))
            else:
                rows.extend(difference(ours[key], theirs[key], inner))
        return rows
    return [] if ours == theirs else [(path, ours, theirs)]


def fingerprint(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON of `value`."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
