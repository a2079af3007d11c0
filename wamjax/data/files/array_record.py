"""ArrayRecord files: records by number, with their own checksums (google/array_record)."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from array_record.python.array_record_module import ArrayRecordReader

from wamjax.data.faults import BadRecord
from wamjax.data.files.tfrecord import Record


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
        raise BadRecord(str(path), number, _reason(error), unit="record") from error


def scan_array_record(path: pathlib.Path) -> Iterator[Record | BadRecord]:
    """All records in order; the offset of a record is its number.

    A bad record costs itself alone; without the file's index, at its end, all are lost.
    """
    try:
        reader = ArrayRecordReader(str(path))
        if not reader.ok():
            reader.close()  # which raises what is wrong; until then there are 0 records
        count = reader.num_records()
    except Exception as error:
        yield BadRecord(str(path), 0, _reason(error), lost=True, unit="record")
        return
    try:
        for number in range(count):
            try:
                found = Record(number, reader.read([number])[0])
            except Exception as error:
                found = BadRecord(str(path), number, _reason(error), unit="record")
            yield found
    finally:
        with contextlib.suppress(Exception):
            reader.close()


def _reason(error: Exception) -> str:
    """The reader's first clause; what follows are its own notes."""
    text = str(error).strip().partition("\n")[0]
    for noise in (" goo.gle/", " (", "; "):
        text = text.partition(noise)[0]
    return text.strip(" .") or "the record cannot be read"
