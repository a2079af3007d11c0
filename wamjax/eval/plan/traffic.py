"""Which bytes a compiled program sends between devices, by mesh axis, read off its HLO text.

    all-gather       result (g - 1) / g          all-reduce          2 operand (g - 1) / g
    reduce-scatter   operand (g - 1) / g         collective-permute  operand
    all-to-all       operand (g - 1) / g                             bytes that a device sends

for a group of g devices. What stands in a loop counts as often as the loop turns. A group belongs
to the mesh axes along which its devices differ.

Between TPU slices XLA writes none of these, but a `send` to the host, which carries the kind of the
collective and its slices, counted from 1: {1,2}x{0:3}, or {{100000,200000},...} by device. Its
operand is what a device gives.
"""

import dataclasses
import math
import re
from collections.abc import Iterator

import numpy as np

KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
ACROSS = ("data", "fsdp")  # mesh axes that may run over slices
WHOLE = ("all-reduce", "collective-permute")  # of which more than a share is sent
BYTES = {
    "pred": 1, "s8": 1, "u8": 1, "f8e4m3fn": 1, "f8e5m2": 1, "s16": 2, "u16": 2, "bf16": 2,
    "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8,
}  # fmt: skip

HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{$")
OP = re.compile(rf"= (.*?) ({'|'.join(KINDS)})(-start)?\((.*)$")
LOOP = re.compile(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)")
LIMIT = re.compile(r"= s32\[\]\S* constant\((\d+)\)")
SEND = re.compile(
    r" = \((\w+\[[0-9,]*\]).* send\(.*channel_id=(\d+).*megascale_target=\"?(.*?)\"?,"
    r"_xla_megascale_transfer_type=\"(\w+)\""
)
CHANNEL = re.compile(r"channel_id=(\d+)")
TURNS = re.compile(r"known_trip_count[^0-9]*(\d+)")
CALL = re.compile(
    r"(?:calls|to_apply|called_computations|branch_computations)=\{?%?([\w.\-, %]+)\}?"
)
SHAPE = re.compile(r"(\w+)\[([0-9,]*)\]")


@dataclasses.dataclass(frozen=True)
class Sent:
    """A collective of the program.

    Attributes:
        kind: of KINDS.
        axes: the mesh axes over which it runs.
        count: times a step.
        moved: bytes that a device sends, all times together.
        network: between slices, over the network of the data centre.
    """

    kind: str
    axes: tuple[str, ...]
    count: float
    moved: float
    network: bool = False


def _bytes(text: str) -> float:
    """Bytes of the largest array of a type that is written out (of a tuple's parts)."""
    sizes = [
        BYTES[kind] * math.prod(int(axis) for axis in shape.split(",") if axis)
        for kind, shape in SHAPE.findall(text)
        if kind in BYTES
    ]
    return float(max(sizes, default=0))


def groups_of(text: str, devices: int) -> np.ndarray:
    """The devices of each group of a collective, int [groups, g].

    Written out ({{0,1},{2,3}}), or as an iota: [2,4]<=[8] or [4,2]<=[2,4]T(1,0).
    """
    iota = re.search(r"replica_groups=\[([0-9,]+)\]<=\[([0-9,]+)\](?:T\(([0-9,]+)\))?", text)
    if iota:
        shape, source, order = (
            [int(part) for part in (found or "").split(",") if part] for found in iota.groups()
        )
        ids = np.arange(math.prod(source)).reshape(source)
        return (ids.transpose(order) if order else ids).reshape(shape)
    listed = re.search(r"replica_groups=\{(\{[0-9,{}]*\})\}", text)
    if listed:
        rows = re.findall(r"\{([0-9,]+)\}", listed.group(1))
        return np.array([[int(part) for part in row.split(",")] for row in rows])
    pairs = re.findall(r"\{(\d+),(\d+)\}", text.partition("source_target_pairs=")[2])
    if pairs:
        return np.array(pairs, int)
    return np.arange(devices)[None]


def axes_of(groups: np.ndarray, shape: dict[str, int]) -> tuple[str, ...]:
    """The mesh axes along which the devices of a group differ, in the mesh's order."""
    places = np.array(np.unravel_index(groups, tuple(shape.values())))
    moves = (places != places[:, :, :1]).any(axis=(1, 2))
    return tuple(axis for axis, moved in zip(shape, moves, strict=True) if moved)


def slices_of(target: str) -> list[int]:
    """The slices of the first group of a send, from 0."""
    device = re.match(r"\{\{([0-9,]+)\}", target)
    if device:
        return sorted({int(one) // 100_000 - 1 for one in device.group(1).split(",")})
    listed = re.match(r"\{([0-9,]+)\}", target)
    return sorted({int(one) - 1 for one in listed.group(1).split(",")}) if listed else []


def _parts(hlo: str) -> Iterator[tuple[str, bool, list[str]]]:
    """(name, whether it is the entry, lines) of each computation."""
    name, entry, lines = "", False, []
    for line in hlo.splitlines():
        head = HEAD.match(line)
        if head:
            name, entry, lines = head.group(1), line.startswith("ENTRY"), []
        elif line == "}" and name:
            yield name, entry, lines
            name = ""
        elif name:
            lines.append(line)


class _Program:
    """The computations of an HLO text, walked from its entry."""

    def __init__(self, hlo: str, shape: dict[str, int], across: tuple[int, int]):
        parts = {name: (entry, lines) for name, entry, lines in _parts(hlo)}
        self.lines = {name: lines for name, (_, lines) in parts.items()}
        self.entries = [name for name, (entry, _) in parts.items() if entry]
        self.shape, self.devices, self.across = shape, math.prod(shape.values()), across
        # A collective that runs beside others stands in several fusions, with one channel.
        self.found: dict[str, tuple[str, tuple[str, ...], bool, float, float]] = {}

    def visit(self, name: str, times: float) -> None:
        """Add what a computation sends, that runs so many times."""
        for line in self.lines[name]:
            loop, op, send = LOOP.search(line), OP.search(line), SEND.search(line)
            if loop:
                condition, body = loop.groups()
                self.visit(body, times * self._turns(line, condition))
            elif op:
                self._add(name, op, times)
            elif send:
                self._send(send, times)
            else:
                for call in CALL.findall(line):
                    for inner in re.findall(r"[\w.\-]+", call):
                        if inner in self.lines:
                            self.visit(inner, times)

    def _turns(self, line: str, condition: str) -> int:
        told = TURNS.search(line)
        if told:
            return int(told.group(1))
        limits = [int(n) for text in self.lines[condition] for n in LIMIT.findall(text)]
        return max(limits, default=1)

    def _add(self, name: str, op: re.Match[str], times: float) -> None:
        result, kind, rest = str(op[1]), str(op[2]), str(op[4])
        operand, _, options = rest.partition(")")
        groups = groups_of(options, self.devices)
        size = groups.shape[1]
        share = (size - 1) / size
        # XLA writes a reduce-scatter as an all-reduce of which every device keeps its part.
        if kind == "all-reduce" and name.startswith("all-reduce-scatter"):
            kind = "reduce-scatter"
            whole = _bytes(result)
        elif kind == "reduce-scatter":
            whole = _bytes(operand) or size * _bytes(result)
        else:
            whole = _bytes(result)
        times_sent = {"all-reduce": 2 * share, "collective-permute": 1.0}
        sent = whole * (times_sent[kind] if kind in WHOLE else share)
        channel = CHANNEL.search(options)
        key = channel.group(1) if channel else f"{name} {op.start()} {len(self.found)}"
        self._keep(key, kind, axes_of(groups, self.shape), False, times, times * sent)

    def _send(self, send: re.Match[str], times: float) -> None:
        given, channel, target, transfer = (str(part) for part in send.groups())
        slices = np.array(slices_of(target))
        size, whole = len(slices), _bytes(given)
        places = np.array(np.unravel_index(slices, self.across))
        moves = (places != places[:, :1]).any(axis=1)
        axes = tuple(axis for axis, moved in zip(ACROSS, moves, strict=True) if moved)
        kind = transfer.lower().replace("_", "-")
        share = {"all-reduce": 2 * (size - 1) / size, "all-gather": size - 1.0}
        sent = whole * share.get(kind, (size - 1) / size)
        self._keep(f"send {channel}", kind, axes, True, times, times * sent)

    def _keep(
        self,
        key: str,
        kind: str,
        axes: tuple[str, ...],
        network: bool,
        times: float,
        moved: float,
    ) -> None:
        known = self.found.get(key)
        if known is None or times > known[3]:
            self.found[key] = (kind, axes, network, times, moved)


def traffic(hlo: str, shape: dict[str, int], across: tuple[int, int] = (1, 1)) -> list[Sent]:
    """The collectives of a program for a mesh of `shape`, those alike put together.

    Args:
        hlo: `compiled.as_text()`; devices are numbered as they stand in the mesh.
        shape: of the whole mesh.
        across: slices along `ACROSS`, in whose order they are numbered.
    """
    program = _Program(hlo, shape, across)
    for name in program.entries:
        program.visit(name, 1.0)
    rows: dict[tuple[str, tuple[str, ...], bool], tuple[float, float]] = {}
    for kind, axes, network, count, moved in program.found.values():
        counts, bytes_ = rows.setdefault((kind, axes, network), (0.0, 0.0))
        rows[(kind, axes, network)] = (counts + count, bytes_ + moved)
    return [
        Sent(kind, axes, *found, network=network)
        for (kind, axes, network), found in sorted(rows.items())
    ]
