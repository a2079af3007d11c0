"""ArrayRecord files: records by number, with their own checksums (google/array_record)."""

import os
import pathlib
from collections.abc import Iterator

from array_record.python.array_record_module import ArrayRecordReader

from wamjax.data.faults import BadRecord
from wamjax.data.tfrecord import Record


def read_array_record(path: str | os.PathLike, number: int) -> bytes:
    """Record `number`.

    Raises:
        BadRecord: the file or the record cannot be read.
    """
    try:
        reader = ArrayRecordReader(str(path))
        try:
            return reader.read([number])[0]
        finally:
            reader.close()
    except Exception as error:  # the reader raises RuntimeError, ValueError and its own
        raise BadRecord(str(path), number, _first_line(error), lost=True) from error


def scan_array_record(path: pathlib.Path) -> Iterator[Record | BadRecord]:
    """All records in order; the offset of a record is its number."""
    number = 0
    try:
        reader = ArrayRecordReader(str(path))
        try:
            for number in range(reader.num_records()):
                yield Record(number, reader.read([number])[0])
        finally:
            reader.close()
    except GeneratorExit:
        raise
    except Exception as error:
        yield BadRecord(str(path), number, _first_line(error), lost=True)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else repr(error)
