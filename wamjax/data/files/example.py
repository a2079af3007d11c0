"""tf.train.Example without TensorFlow: a map from feature name to a flat list of one type.

The message classes are those that tensorflow-datasets ships (generated from
tensorflow/core/example/example.proto and feature.proto).
"""

from collections.abc import Container, Mapping, Sequence

import numpy as np
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_generated_pb2 as wire

Value = np.ndarray | list[bytes]


def decode(payload: bytes, names: Container[str] | None = None) -> dict[str, Value]:
    """Feature name -> float32 [n], int64 [n] or a list of bytes; empty features are left out.

    Args:
        payload: one serialised tf.train.Example.
        names: the features wanted; None for all.

    Raises:
        ValueError: the payload is not a tf.train.Example.
    """
    try:
        features = wire.Example.FromString(payload).features.feature
    except DecodeError as error:
        raise ValueError("the record is not a tf.train.Example") from error
    out: dict[str, Value] = {}
    for name, feature in features.items():
        if names is not None and name not in names:
            continue
        match feature.WhichOneof("kind"):
            case "float_list":
                out[name] = np.array(feature.float_list.value, np.float32)
            case "int64_list":
                out[name] = np.array(feature.int64_list.value, np.int64)
            case "bytes_list":
                out[name] = list(feature.bytes_list.value)
            case None:
                continue
        if not len(out[name]):
            del out[name]
    return out


def encode(features: Mapping[str, np.ndarray | Sequence[bytes]]) -> bytes:
    """The inverse of `decode`; booleans and integers become int64, floats float32.

    The bytes depend on nothing but the features (names are written in sorted order).
    """
    message = wire.Example()
    for name in sorted(features):
        value = features[name]
        slot = message.features.feature[name]
        if not isinstance(value, np.ndarray):
            slot.bytes_list.value.extend(value)
        elif value.dtype.kind in "biu":
            slot.int64_list.value.extend(value.astype(np.int64).ravel().tolist())
        else:
            slot.float_list.value.extend(value.astype(np.float32).ravel().tolist())
    return message.SerializeToString(deterministic=True)
