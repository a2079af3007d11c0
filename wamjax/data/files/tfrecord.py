"""TFRecord files: framed, checksummed byte strings.

    length uint64 | masked crc32c(length) uint32 | payload | masked crc32c(payload) uint32
    masked(c) = rotate_right(c, 15) + 0xa282ead8  (mod 2^32), all little endian

Source: tensorflow/core/lib/io/record_writer.h.
"""

import dataclasses
import os
import pathlib
import struct
from collections.abc import Iterator
from types import TracebackType
from typing import IO

import google_crc32c

from wamjax.data.faults import BadRecord
from wamjax.data.files.paths import Location, Named, location, opened

HEADER = struct.Struct("<QI")
FOOTER = struct.Struct("<I")
FRAMING = HEADER.size + FOOTER.size


def masked_crc32c(data: bytes) -> int:
    """The checksum as TFRecord stores it."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@dataclasses.dataclass(frozen=True)
class Record:
    """One payload and the byte offset of its frame in the file."""

    offset: int
    payload: bytes


def _read_header(file: IO[bytes], path: Location, offset: int, size: int) -> int:
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        raise BadRecord(str(path), offset, "the record is cut off", lost=True)
    length, crc = HEADER.unpack(header)
    if masked_crc32c(header[:8]) != crc:
        raise BadRecord(str(path), offset, "the checksum of the length is wrong", lost=True)
    if offset + FRAMING + length > size:
        raise BadRecord(str(path), offset, "the record is cut off", lost=True)
    return length


def _read_payload(file: IO[bytes], path: Location, offset: int, length: int) -> bytes:
    body = file.read(length + FOOTER.size)
    if len(body) < length + FOOTER.size:
        raise BadRecord(str(path), offset, "the record is cut off", lost=True)
    payload = body[:length]
    if masked_crc32c(payload) != FOOTER.unpack(body[length:])[0]:
        raise BadRecord(str(path), offset, "the checksum is wrong")
    return payload


def scan(path: Named) -> Iterator[Record | BadRecord]:
    """All records in order; a bad one comes as a `BadRecord` (not raised) and is passed over.

    After a `BadRecord` with `lost=True` the framing is unknown and the scan ends.
    """
    source = location(path)
    size = source.stat().st_size
    with opened(source, "row") as file:
        offset = 0
        while offset < size:
            try:
                length = _read_header(file, source, offset, size)
            except BadRecord as bad:
                yield bad
                return
            try:
                yield Record(offset, _read_payload(file, source, offset, length))
            except BadRecord as bad:
                yield bad
            offset += FRAMING + length


def index(path: Named, count: int | None = None) -> list[int]:
    """Offsets of the first `count` records (None: of all), from the headers alone.

    Raises:
        BadRecord: the framing is broken before that.
    """
    source = location(path)
    size = source.stat().st_size
    offsets = []
    with opened(source, "picked") as file:
        offset = 0
        while offset < size and (count is None or len(offsets) < count):
            length = _read_header(file, source, offset, size)
            offsets.append(offset)
            offset += FRAMING + length
            file.seek(offset)
    return offsets


def read_at(path: Named, offset: int) -> bytes:
    """The payload of the record whose frame starts at byte `offset`.

    Raises:
        BadRecord: cut off, or a checksum is wrong.
    """
    source = location(path)
    with opened(source, "picked") as file:
        file.seek(offset)
        length = _read_header(file, source, offset, source.stat().st_size)
        return _read_payload(file, source, offset, length)


class Writer:
    """Append records to a new file, which takes its name only when it is closed in peace."""

    def __init__(self, path: str | os.PathLike):
        self.path = pathlib.Path(path)
        self.temporary = self.path.with_name(f".{self.path.name}.incomplete")
        self.file = open(self.temporary, "wb")  # noqa: SIM115  (closed by close or discard)
        self.payload_bytes = 0
        self.count = 0

    def write(self, payload: bytes) -> None:
        length = struct.pack("<Q", len(payload))
        self.file.write(length + FOOTER.pack(masked_crc32c(length)))
        self.file.write(payload)
        self.file.write(FOOTER.pack(masked_crc32c(payload)))
        self.payload_bytes += len(payload)
        self.count += 1

    def close(self) -> None:
        """Give the file its name."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        os.replace(self.temporary, self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        self.file.close()
        self.temporary.unlink(missing_ok=True)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()
