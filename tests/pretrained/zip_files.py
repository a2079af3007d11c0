"""PyTorch's zip files made by hand, code by code: good ones without torch, and hostile ones."""

import pathlib
import struct
import zipfile
from collections.abc import Mapping

import numpy as np

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


def word(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def whole(number: int) -> bytes:
    if -(2**31) <= number < 2**31:
        return b"J" + struct.pack("<i", number)
    raw = number.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def several(*codes: bytes) -> bytes:
    return b"(" + b"".join(codes) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def called(module: str, attribute: str, *codes: bytes) -> bytes:
    return name(module, attribute) + several(*codes) + b"R"


def storage(kind: str, key: str, count: int) -> bytes:
    of = name("torch", STORAGES[kind])
    return several(word("storage"), of, word(key), word("cpu"), whole(count)) + b"Q"


def tensor(stored: bytes, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    sizes = (several(*map(whole, numbers)) for numbers in (shape, strides))
    hooks = name("collections", "OrderedDict") + b")R"
    return called(
        "torch._utils", "_rebuild_tensor_v2", stored, whole(offset), *sizes, b"\x89", hooks
    )


def pickled(items: Mapping[str, bytes]) -> bytes:
    """A dict of values that are codes already."""
    pairs = b"".join(word(key) + code for key, code in items.items())
    return b"\x80\x02}(" + pairs + b"u."


def items(arrays: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """The codes of each array, whose storage has its number for a name."""
    made = {}
    for key, (label, array) in enumerate(arrays.items()):
        stored = storage(str(array.dtype), str(key), array.size)
        strides = tuple(step // array.itemsize for step in array.strides)
        made[label] = tensor(stored, 0, array.shape, strides)
    return made


def entries(arrays: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """What stands in the file of a state dict."""
    # Numbers as they stand in memory, which strides tell of.
    numbers = {f"data/{key}": x.tobytes("A") for key, x in enumerate(arrays.values())}
    return {
        "data.pkl": pickled(items(arrays)),
        "byteorder": b"little",
        "version": b"3\n",
        **numbers,
    }


def write(
    path: pathlib.Path, files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED
) -> pathlib.Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for inner, raw in files.items():
            archive.writestr(f"model/{inner}", raw)
    return path
