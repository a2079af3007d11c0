"""ArrayRecord files behind an address: records by number, by requests for their bytes alone.

    file        = chunks, broken by a header of 24 bytes at every multiple of 64 KiB
    chunk       = header of 40 bytes | data
    data        = compression | length of the sizes | sizes | records     ("simple" chunks)
    last 64 KiB = a chunk that tells where the index is; the index tells where each chunk starts

Sources: google/riegeli doc/riegeli_records_file_format.md, google/array_record cpp/layout.proto.
On a disk the library reads them, see `wamjax.data.files.array_record`. Its checksums are
HighwayHash, of which there is none for Python: here they are not compared.
"""

import bisect
import functools
import itertools
import struct

import pyarrow

from wamjax.data.files.paths import Remote

BLOCK, BROKEN = 2**16, 24
HEADER = struct.Struct("<8xQ8xQQ")  # hash, size, hash, type and count, decoded size
SIMPLE = ord("r")
MAGIC = 0x71930E704FDAE05E
CODECS = {0: None, ord("z"): "zstd", ord("b"): "brotli", ord("s"): "snappy"}


def _unbroken(data: bytes, begin: int, length: int) -> tuple[bytes, int]:
    """`length` bytes that start at byte `begin` of a file, without headers; and where they end.

    Raises:
        ValueError: `data` has fewer.
    """
    parts, at, left = [], begin, length
    while left:
        if at % BLOCK == 0:
            at += BROKEN
        count = min(left, BLOCK - at % BLOCK)
        part = data[at - begin : at - begin + count]
        if len(part) < count:
            raise ValueError("the file is cut off")
        parts.append(part)
        at, left = at + count, left - count
    return b"".join(parts), at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("the record is cut off")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def records_of(data: bytes, count: int) -> list[bytes]:
    """The records of a simple chunk.

    Raises:
        ValueError: it is none, or compressed in a way that is not read here.
    """
    if not data or data[0] not in CODECS:
        raise ValueError("the record is compressed in a way that is not read here")
    codec = CODECS[data[0]]
    length, at = varint(data, 1)
    sizes, at = _plain(data[at : at + length], codec), at + length
    values = _plain(data[at:], codec)
    out, place, start = [], 0, 0
    for _ in range(count):
        size, place = varint(sizes, place)
        out.append(values[start : start + size])
        start += size
    if start != len(values):
        raise ValueError("the record is cut off")
    return out


def _plain(data: bytes, codec: str | None) -> bytes:
    if codec is None:
        return data
    size, at = varint(data, 0)
    try:
        return pyarrow.decompress(data[at:], size, codec=codec, asbytes=True)
    except (OSError, pyarrow.ArrowException) as error:
        raise ValueError("the record cannot be decompressed") from error


def _fields(message: bytes) -> dict[int, int | bytes]:
    """Of a protocol buffer with numbers and nested messages."""
    out: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        value, at = varint(message, at)
        if key & 7 == 2:
            out[key >> 3], at = message[at : at + value], at + value
        elif key & 7 == 0:
            out[key >> 3] = value
        else:
            raise ValueError("the index cannot be read")
    return out


class Riegeli:
    """An ArrayRecord file; only its index is kept.

    Raises:
        ValueError, OSError: it has no index, or cannot be reached.
    """

    def __init__(self, path: Remote):
        self.path = path
        size = path.stat().st_size
        if size < BLOCK or size % BLOCK:
            raise ValueError("the file has no index at its end")
        told, *_ = self._chunk(size - BLOCK, size)
        where = _fields(told)
        if 2 not in where or where[2] != MAGIC:
            raise ValueError("the file has no index at its end")
        index = int(where[1])
        _, *entries = self._chunk(index, size)
        chunks = [_fields(entry) for entry in entries]
        self.starts = [int(chunk[1]) if 1 in chunk else 0 for chunk in chunks]
        self.ends = list(itertools.accumulate(int(chunk[3]) for chunk in chunks))
        self.bounds = [*self.starts, index]

    def __len__(self) -> int:
        return self.ends[-1] if self.ends else 0

    def read(self, number: int) -> bytes:
        """Record `number`.

        Raises:
            IndexError: there is none.
            ValueError, OSError: it cannot be read.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"record {number} of {len(self)}")
        chunk = bisect.bisect_right(self.ends, number)
        before = self.ends[chunk - 1] if chunk else 0
        return self._chunk(self.bounds[chunk], self.bounds[chunk + 1])[number - before]

    def _chunk(self, begin: int, end: int) -> list[bytes]:
        """The records of the chunk at a byte; it ends before `end`."""
        data = self.path.range(begin, end)
        header, at = _unbroken(data, begin, HEADER.size)
        size, kind, _ = HEADER.unpack(header)
        if kind & 255 != SIMPLE:
            raise ValueError("the record is transposed, which is not read here")
        body, _ = _unbroken(data[at - begin :], at, size)
        return records_of(body, kind >> 8)


@functools.lru_cache(maxsize=256)
def opened_riegeli(path: Remote, size: int) -> Riegeli:
    """The file of that size, whose index is read once."""
    del size
    return Riegeli(path)
