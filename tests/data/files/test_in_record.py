"""Images in a record: found again one by one, wherever they stand and however long they are."""

import numpy as np
import pytest

from wamjax.data.files import example, tfrecord
from wamjax.data.files.in_record import Files, InRecord, find, head
from wamjax.data.files.pictures import fetch

# At the ends of lengths of 1, 2 and 3 bytes.
SIZES = [0, 1, 127, 128, 129, 0, 16383, 16384, 16385, 300, 2**21, 0]


def images(sizes, seed=0):
    draw = np.random.default_rng(seed)
    return [draw.bytes(size) for size in sizes]


def written(tmp_path, features):
    """A file with three records; the features stand in the second."""
    path = tmp_path / "x.tfrecord"
    other = example.encode({"a": [b"before"]})
    with tfrecord.Writer(path) as writer:
        for payload in (other, example.encode(features), other):
            writer.write(payload)
    offset = tfrecord.index(path)[1]
    return path, offset + tfrecord.HEADER.size, tfrecord.read_at(path, offset)


def test_every_choice_of_steps_is_read_as_it_was_written(tmp_path):
    cameras = {"one": images(SIZES), "two": images(reversed(SIZES), 1), "three": images([5] * 12)}
    numbers = {"number": np.arange(12, dtype=np.float32)}
    path, content, payload = written(tmp_path, {**cameras, **numbers})
    files, draw = Files(), np.random.default_rng(2)
    for given in cameras.values():
        starts = find(payload, given)
        assert starts is not None
        shown = InRecord(files, path, content, starts)
        assert len(shown) == 12
        assert [shown.is_recorded(t) for t in range(12)] == [bool(image) for image in given]
        assert shown.encoded(range(12)) == given
        for _ in range(50):
            times = draw.integers(0, 12, draw.integers(0, 6)).tolist()
            assert shown.encoded(times) == [given[t] for t in times]
        assert shown.mark() == given[0]


def test_a_field_s_head_is_what_protobuf_writes():
    for size in (0, 1, 127, 128, 16383, 16384, 2**21 - 1, 2**21):
        alone = {"x": [bytes(size)]}
        two = len(example.encode({"x": [b"", bytes(size)]})) - len(example.encode(alone))
        assert two == head(2)  # an empty one more
        starts = find(example.encode(alone), alone["x"]) if size else None
        if starts is not None:
            field = int(starts[1] - starts[0])
            assert field - head(field) == size


def test_what_does_not_stand_in_a_run_is_not_found():
    given = images([50, 60, 70])
    payload = example.encode({"x": given})
    assert find(payload, given) is not None
    assert find(payload, given[::-1]) is None
    assert find(payload, [given[0], given[2]]) is None
    assert find(payload, [b"not there"]) is None
    assert find(payload, [b"", b""]) is None


def test_a_file_that_became_shorter_has_those_frames_that_are_left(tmp_path):
    given = images([50, 60, 70])
    path, content, payload = written(tmp_path, {"x": given})
    shown = InRecord(Files(), path, content, find(payload, given))
    path.write_bytes(path.read_bytes()[: content + int(shown.starts[1]) + 9])
    with pytest.raises(ValueError, match="cut off"):
        shown.encoded([0, 2])
    assert fetch(shown, [0, 2]) == [given[0], b""]
