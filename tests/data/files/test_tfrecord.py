import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wamjax.data.faults import BadRecord
from wamjax.data.files import tfrecord
from wamjax.data.files.tfrecord import Record

PAYLOADS = [b"first", b"", b"third" * 50]


def _write(path: pathlib.Path, payloads: list[bytes]) -> pathlib.Path:
    with tfrecord.Writer(path) as writer:
        for payload in payloads:
            writer.write(payload)
    return path


def test_checksum_is_the_published_one() -> None:
    # crc32c("123456789") = 0xe3069283 (RFC 3720, B.4), then rotated and offset.
    crc = 0xE3069283
    rotated = ((crc >> 15) | (crc << 17)) & 0xFFFFFFFF
    assert tfrecord.masked_crc32c(b"123456789") == (rotated + 0xA282EAD8) % 2**32


@settings(max_examples=30, deadline=None)
@given(payloads=st.lists(st.binary(max_size=40), max_size=6))
def test_written_is_read_by_scan_and_by_offset(
    payloads: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = _write(tmp_path_factory.mktemp("records") / "a.tfrecord", payloads)
    found = list(tfrecord.scan(path))
    assert [record.payload for record in found if isinstance(record, Record)] == payloads
    offsets = tfrecord.index(path)
    assert offsets == [record.offset for record in found]
    assert [tfrecord.read_at(path, offset) for offset in offsets] == payloads


def test_a_wrong_byte_costs_its_own_record_only(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "a.tfrecord", PAYLOADS)
    data = bytearray(path.read_bytes())
    data[12] ^= 1
    path.write_bytes(data)
    found = list(tfrecord.scan(path))
    assert isinstance(found[0], BadRecord)
    assert (found[0].offset, found[0].lost) == (0, False)
    assert [r.payload for r in found[1:] if isinstance(r, Record)] == PAYLOADS[1:]
    with pytest.raises(BadRecord, match="checksum"):
        tfrecord.read_at(path, 0)


@pytest.mark.parametrize("cut", [1, 5, 260, 265])
def test_a_cut_file_ends_in_a_lost_record(tmp_path: pathlib.Path, cut: int) -> None:
    path = _write(tmp_path / "a.tfrecord", PAYLOADS)
    path.write_bytes(path.read_bytes()[:-cut])
    *whole, last = tfrecord.scan(path)
    assert [r.payload for r in whole if isinstance(r, Record)] == PAYLOADS[:2]
    assert isinstance(last, BadRecord)
    assert last.lost
    assert last.offset == 21 + 16
    with pytest.raises(BadRecord, match="cut off"):
        tfrecord.index(path)


def test_a_wrong_length_loses_the_rest(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path / "a.tfrecord", PAYLOADS)
    data = bytearray(path.read_bytes())
    data[21] ^= 1
    path.write_bytes(data)
    found = list(tfrecord.scan(path))
    assert len(found) == 2
    assert isinstance(found[1], BadRecord)
    assert found[1].lost


def test_an_interrupted_writer_leaves_nothing(tmp_path: pathlib.Path) -> None:
    def interrupted() -> None:
        with tfrecord.Writer(tmp_path / "a.tfrecord") as writer:
            writer.write(b"x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert list(tmp_path.iterdir()) == []
