"""Damage to files, at random: what disks, networks and enemies do."""

import json
import random

from tests.pretrained import zip_files


def bytewise(raw: bytes, rng: random.Random) -> bytes:
    """Bits flipped, bytes set, numbers replaced, parts cut, doubled, moved or exchanged."""
    made = bytearray(raw)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        # Headers are short beside numbers: half of the damage is done to the first and last bytes.
        edge = rng.choice((len(made), len(made), min(len(made), 400)))
        at = rng.randrange(edge) if rng.random() < 0.7 else len(made) - 1 - rng.randrange(edge)
        length = rng.randint(1, 40)
        match rng.randrange(8):
            case 0 | 1:
                made[at] ^= 1 << rng.randrange(8)
            case 2:
                made[at] = rng.randrange(256)
            case 3:
                number = rng.choice((0, 1, 255, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1))
                made[at : at + 8] = number.to_bytes(8, "little")[: len(made) - at]
            case 4:
                del made[at:]
            case 5:
                del made[at : at + length]
            case 6:
                source = rng.randrange(len(made))
                made[at:at] = made[source : source + length]
            case 7:
                source = rng.randrange(len(made))
                part = made[source : source + length]
                made[at : at + len(part)] = part
        if not made:
            return b"\x00"
    return bytes(made)


def header(raw: bytes, rng: random.Random) -> bytes:
    """A safetensors file whose header says something else, in whole JSON."""
    length = int.from_bytes(raw[:8], "little")
    told = json.loads(raw[8 : 8 + length])
    told.pop("__metadata__")
    for _ in range(rng.randint(1, 2)):
        name = rng.choice([*told])
        row = told[name]
        wild = rng.choice((-1, 0, 1, 7, 2**31, 2**63, 2**64, 10**30, 1.5, None, "x", [], True))
        match rng.randrange(8):
            case 0:
                row["data_offsets"][rng.randrange(2)] = wild
            case 1:
                row["shape"] = [wild, *row["shape"][1:]]
            case 2:
                row["shape"] = rng.choice(
                    ([], [0], [0, 2**62, 2**62], [2**32, 2**32], [1] * 40, "x", [[1]])
                )
            case 3:
                row["dtype"] = rng.choice(("F64", "F16", "BF16", "Q4", "", None, 3, [], {}))
            case 4:
                row["data_offsets"] = told[rng.choice([*told])]["data_offsets"]
            case 5:
                del row[rng.choice([*row])]
            case 6:
                told[rng.choice(("more", "__metadata__"))] = rng.choice((row, [], 3, {"a": 1}))
            case 7:
                told[name] = rng.choice(([], 3, None, "x", {}))
        if not all(
            isinstance(x, dict)
            and {"dtype", "shape", "data_offsets"} <= {*x}
            and isinstance(x["data_offsets"], list)
            and isinstance(x["shape"], list)
            for x in told.values()
        ):
            break
    text = json.dumps(told).encode()
    claimed = rng.choice((len(text),) * 6 + (0, len(text) + 1, 10**8, 2**40, 2**64 - 1))
    return claimed.to_bytes(8, "little") + text + raw[8 + length :]


HOSTILE = (
    zip_files.called("posix", "system", zip_files.word("touch canary")),
    zip_files.called("builtins", "exec", zip_files.word("open('canary', 'w')")),
    zip_files.name("subprocess", "Popen") + b")R",
    zip_files.word("os") + zip_files.word("system") + b"\x93" + zip_files.word("x") + b"\x85R",
    b"(" + zip_files.word("touch canary") + b"ios\nsystem\n",
    b"c__builtin__\neval\n",
    b"\x82\x01",
    b"(" * 50,
    b"h\x00" * 9,
    b"\x8a\xff" + b"\x7f" * 255,
    zip_files.storage("float32", "0", 2**40),
    zip_files.tensor(zip_files.storage("float32", "0", 6), 0, (2**20, 2**20), (0, 0)),
    zip_files.tensor(zip_files.storage("float32", "0", 6), -1, (2,), (1,)),
    zip_files.tensor(zip_files.storage("float32", "0", 6), 5, (2,), (-1,)),
)


Told = tuple[str, str, int, tuple[int, ...], tuple[int, ...]]
"""Of a tensor: kind, storage, offset, shape, strides."""


def values(
    good: dict[str, bytes], stored: list[tuple[str, str, int]], rng: random.Random
) -> tuple[bytes, dict[str, Told]]:
    """A whole pickle that tells of other tensors, or of something else; and of which tensors.

    Args:
        good: the codes of each tensor.
        stored: kind, name and count of the storages that are there.
    """
    made, told = dict(good), {}
    for _ in range(rng.randint(1, 2)):
        name = rng.choice([*good, "more"])
        told.pop(name, None)
        if rng.random() < 0.25:
            made[name] = rng.choice(HOSTILE)
            continue
        # Mostly a storage that is there, so that what follows is looked at, too.
        kind, key, count = rng.choice(stored)
        if rng.random() < 0.3:
            kind = rng.choice(("float64", "bfloat16", "uint8"))
        if rng.random() < 0.2:
            key, count = rng.choice(("0", "9", "../x")), rng.choice((1, 0, 2**40, -1))
        rank = rng.randint(0, 3)
        offset = rng.choice((0, 0, 0, 0, 1, 5, 2**31, 2**62, -1))
        shape = tuple(rng.choice((1, 2, 2, 3, 3, 4, 0, 2**20, -1)) for _ in range(rank))
        strides = tuple(rng.choice((1, 1, 2, 3, 4, 0, 2**62, -1)) for _ in range(rank))
        made[name] = zip_files.tensor(zip_files.storage(kind, key, count), offset, shape, strides)
        told[name] = (kind, key, offset, shape, strides)
    return zip_files.pickled(made), told
