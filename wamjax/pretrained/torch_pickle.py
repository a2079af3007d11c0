"""The pickle of a state dict, read without pickle: nothing is imported, and nothing is called.

A pickle is a program for a stack machine (CPython, Lib/pickletools.py). This one knows the codes
by which PyTorch writes dicts of tensors and the names in `GLOBALS`, which stay names; any other
code or name ends the reading. What comes out are numbers, strings, lists, dicts, and for each
tensor where its numbers stand (`Stored`).
"""

import dataclasses
import struct
from collections.abc import Callable
from typing import Any

from wamjax.pretrained.tensors import shown

NODES, DEPTH = 1_000_000, 32
"""Of the tree that is walked: a small pickle can refer to itself, or to one dict in many places."""

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
UNTYPED = ("torch.storage", "UntypedStorage")
KINDS = (*STORAGES.values(), "float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64")


class UnreadableError(ValueError):
    """What is wrong with a pickle, to be said behind the name of its file."""


@dataclasses.dataclass(frozen=True)
class Name:
    """A global, which stays a name."""

    module: str
    name: str


@dataclasses.dataclass(frozen=True)
class Storage:
    """Numbers of one kind that stand in one entry of the zip file.

    Attributes:
        key: name of the entry.
        kind: dtype; empty where only tensors tell it.
        count: of numbers; of bytes, where `kind` is empty.
    """

    key: str
    kind: str
    count: int


@dataclasses.dataclass(frozen=True)
class Stored:
    """A tensor; offset and strides count numbers; `kind` is empty where nothing tells it."""

    storage: Storage
    kind: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def tensors_in(raw: bytes) -> dict[str, Stored]:
    """The tensors of a pickle by their path, "." between keys.

    Raises:
        UnreadableError: it is broken, or does more than to hold tensors.
    """
    try:
        root = _Machine(raw).run()
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError("its pickle is broken") from error
    return _walked(root)


def _walked(root: Any) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    left, nodes = [("", root, 0)], 0
    while left:
        path, node, depth = left.pop()
        nodes += 1
        if nodes > NODES or depth > DEPTH:
            raise UnreadableError("its dicts are nested without end")
        if isinstance(node, Stored):
            if path in found:
                raise UnreadableError(f"two of its tensors are called {shown(path)}")
            found[path] = node
        elif isinstance(node, (dict, list, tuple)):
            pairs = list(node.items() if isinstance(node, dict) else enumerate(node))
            below = [(f"{path}.{key}" if path else str(key), x, depth + 1) for key, x in pairs]
            if nodes + len(left) + len(below) > NODES:
                raise UnreadableError("it holds more than a model has tensors")
            left += reversed(below)
    return found


# What stands for the beginning of a list of unknown length on the stack.
MARK = object()


class _Machine:
    def __init__(self, raw: bytes):
        self.raw, self.at = raw, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        while True:
            code = self.take(1)
            if code == b".":
                if len(self.stack) != 1 or self.stack[0] is MARK:
                    raise UnreadableError("its pickle ends with more than one value")
                return self.stack[0]
            if code not in CODES:
                raise UnreadableError(f"its pickle has code {code!r}, which tensors do not need")
            CODES[code](self)

    def take(self, count: int) -> bytes:
        part = self.raw[self.at : self.at + count]
        if len(part) != count:
            raise UnreadableError("its pickle is cut short")
        self.at += count
        return part

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self) -> str:
        end = self.raw.index(b"\n", self.at)
        text = self.raw[self.at : end].decode("ascii")
        self.at = end + 1
        return text

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is MARK:
            raise UnreadableError("its pickle is broken")
        return value

    def top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise UnreadableError("its pickle changes what is no list and no dict")
        return self.stack[-1]

    def marked(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not MARK:
            place -= 1
            if place < 0:
                raise UnreadableError("its pickle is broken")
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def remember(self, place: int) -> None:
        if self.stack[-1] is MARK:
            raise UnreadableError("its pickle is broken")
        self.memo[place] = self.stack[-1]

    def name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise UnreadableError("its pickle is broken")
        if (module, name) not in GLOBALS:
            raise UnreadableError(
                f"it asks for {shown(f'{module}.{name}')}, which tensors do not need"
            )
        self.push(Name(module, name))

    def set_items(self, values: list[Any]) -> None:
        target = self.top(dict)
        if len(values) % 2:
            raise UnreadableError("its pickle is broken")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Hashes of nested tuples could take for ever.
            if not isinstance(key, (str, int)):
                raise UnreadableError("a key of its dicts is no string and no number")
            target[key] = value

    def extend(self, values: list[Any]) -> None:
        self.top(list).extend(values)

    def reduce(self) -> None:
        args, name = self.pop(), self.pop()
        if not isinstance(name, Name) or not isinstance(args, tuple):
            raise UnreadableError("its pickle calls what is no name")
        make = GLOBALS[(name.module, name.name)]
        if make is None:
            raise UnreadableError(f"it calls {name.module}.{name.name}, which tensors do not need")
        self.push(make(*args))

    def build(self) -> None:
        # Attributes of dicts (`_metadata` of a module) are of no use here.
        self.pop()
        self.top(dict)

    def storage(self) -> None:
        kind, of, key, _, count = self.pop()
        if kind != "storage" or not isinstance(of, Name) or not isinstance(key, str):
            raise UnreadableError("its pickle is broken")
        if (of.module, of.name) != UNTYPED and of.name not in STORAGES:
            raise UnreadableError("its pickle is broken")
        self.push(Storage(key, STORAGES.get(of.name, ""), _count(count)))


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise UnreadableError("a tensor has sizes that are no counts")
    return value


def _counts(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or len(values) > 32:
        raise UnreadableError("a tensor has sizes that are no counts")
    return tuple(_count(value) for value in values)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Stored:
    if not isinstance(storage, Storage):
        raise UnreadableError("a tensor has no numbers")
    made = Stored(storage, storage.kind, _count(offset), _counts(shape), _counts(strides))
    if len(made.shape) != len(made.strides):
        raise UnreadableError("a tensor has sizes that are no counts")
    return made


def _typed_tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, kind: Any, *_: Any
) -> Stored:
    if not isinstance(kind, Name) or kind.name not in KINDS:
        raise UnreadableError("a tensor has numbers of no kind")
    return dataclasses.replace(_tensor(storage, offset, shape, strides), kind=kind.name)


def _parameter(tensor: Any, *_: Any) -> Stored:
    if not isinstance(tensor, Stored):
        raise UnreadableError("a parameter is no tensor")
    return tensor


def _ordered(*pairs: Any) -> dict[Any, Any]:
    if pairs:
        raise UnreadableError("its pickle is broken")
    return {}


# Name -> what stands in the place of its call; None where it is only named.
GLOBALS: dict[tuple[str, str], Callable[..., Any] | None] = {
    ("collections", "OrderedDict"): _ordered,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    UNTYPED: None,
    **{("torch", name): None for name in (*STORAGES, *KINDS)},
}

CODES: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.take(1),  # PROTO
    b"\x95": lambda m: m.take(8),  # FRAME
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"J": lambda m: m.push(m.number("<i")),
    b"\x8a": lambda m: m.push(int.from_bytes(m.take(m.number("<B")), "little", signed=True)),
    b"G": lambda m: m.push(m.number(">d")),
    b"X": lambda m: m.push(m.take(m.number("<I")).decode()),
    b"\x8c": lambda m: m.push(m.take(m.number("<B")).decode()),
    b"}": lambda m: m.push({}),
    b"]": lambda m: m.push([]),
    b")": lambda m: m.push(()),
    b"(": lambda m: m.push(MARK),
    b"t": lambda m: m.push(tuple(m.marked())),
    b"\x85": lambda m: m.push((m.pop(),)),
    b"\x86": lambda m: m.push((m.pop(), m.pop())[::-1]),
    b"\x87": lambda m: m.push((m.pop(), m.pop(), m.pop())[::-1]),
    b"h": lambda m: m.push(m.memo[m.number("<B")]),
    b"j": lambda m: m.push(m.memo[m.number("<I")]),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"c": lambda m: m.name(m.line(), m.line()),
    b"\x93": lambda m: m.name(*(m.pop(), m.pop())[::-1]),
    b"Q": lambda m: m.storage(),
    b"R": lambda m: m.reduce(),
    b"b": lambda m: m.build(),
    b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.set_items(m.marked()),
    b"a": lambda m: m.extend([m.pop()]),
    b"e": lambda m: m.extend(m.marked()),
}
