"""ArrayRecord files: records by number, with their own checksums (google/array_record).

Behind an address they are read by `wamjax.data.files.riegeli`, which compares no checksums.
"""

import contextlib
from collections.abc import Iterator

from array_record.python.array_record_module import ArrayRecordReader

from wamjax.data.faults import BadRecord
from wamjax.data.files.paths import Location, Named, Remote, location
from wamjax.data.files.riegeli import opened_riegeli
from wamjax.data.files.tfrecord import Record


class Picked:
    """A file whose records are picked, not read in a row.

    Raises:
        Exception: of many kinds, where it cannot be read; also when a record is read.
    """

    def __init__(self, path: Location):
        if isinstance(path, Remote):
            self._read = opened_riegeli(path, path.stat().st_size).read
        else:
            reader = ArrayRecordReader(str(path), "readahead_buffer_size:0")
            self._read = lambda number: reader.read([number])[0]

    def read(self, number: int) -> bytes:
        """Record `number`."""
        return self._read(number)


def read_array_record(path: Named, number: int) -> bytes:
    """Record `number`.

    Raises:
        BadRecord: the file or the record cannot be read.
    """
    try:
        place = location(path)
        if isinstance(place, Remote):
            return Picked(place).read(number)
        reader = ArrayRecordReader(str(path))
        try:
            return reader.read([number])[0]
        finally:
            reader.close()
    except Exception as error:  # the reader raises RuntimeError, ValueError and its own
        raise BadRecord(str(path), number, _reason(error), unit="record") from error


def scan_array_record(path: Location) -> Iterator[Record | BadRecord]:
    """All records in order; the offset of a record is its number.

    A bad record costs itself alone; without the file's index, at its end, all are lost.
    """
    if isinstance(path, Remote):
        yield from _scan_remote(path)
        return
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


def _scan_remote(path: Remote) -> Iterator[Record | BadRecord]:
    try:
        file = opened_riegeli(path, path.stat().st_size)
    except Exception as error:
        yield BadRecord(str(path), 0, _reason(error), lost=True, unit="record")
        return
    for number in range(len(file)):
        try:
            yield Record(number, file.read(number))
        except ValueError as error:
            yield BadRecord(str(path), number, _reason(error), unit="record")


def _reason(error: Exception) -> str:
    """The reader's first clause; what follows are its own notes."""
    text = str(error).strip().partition("\n")[0]
    for noise in (" goo.gle/", " (", "; "):
        text = text.partition(noise)[0]
    return text.strip(" .") or "the record cannot be read"
