"""Features as TFDS stores them: strings that are no Text, and tensors packed with zlib."""

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer

from tests.data.cards.test_cards import CARDS
from wamjax.data.cards.prepared import prepare
from wamjax.data.files.schema import _leaves
from wamjax.data.sources.rlds import parse
from wamjax.data.sources.source import Place


def test_a_tensor_of_strings_is_text_and_a_packed_one_is_bytes() -> None:
    features = tfds.features
    kinds = {
        "instruction": np.str_,
        "text": features.Text(),
        "words": features.Tensor(shape=(2,), dtype=np.str_),
        "packed": features.Tensor(shape=(3,), dtype=np.float32, encoding="zlib"),
        "unknown": features.Tensor(shape=(None, 3), dtype=np.float32, encoding="zlib"),
        "plain": features.Tensor(shape=(3,), dtype=np.float32),
        "flag": np.bool_,
    }
    found = {name: leaf.kind for name, leaf in _leaves(features.FeaturesDict(kinds), "")}
    assert found == {
        "instruction": "text", "text": "text", "words": "other", "packed": "packed",
        "unknown": "other", "plain": "number", "flag": "number",
    }  # fmt: skip


def test_kuka_as_tfds_writes_it_is_read() -> None:
    """The one Open X-Embodiment set with packed tensors, in an episode that TFDS encodes."""
    tensor = tfds.features.Tensor
    action = {
        "world_vector": tensor(shape=(3,), dtype=np.float32),
        "rotation_delta": tensor(shape=(3,), dtype=np.float32),
        "gripper_closedness_action": tensor(shape=(1,), dtype=np.float32),
    }
    observation = {
        "clip_function_input/base_pose_tool_reached": tensor(
            shape=(7,), dtype=np.float32, encoding="zlib"
        ),
        "gripper_closed": tensor(shape=(1,), dtype=np.float32, encoding="zlib"),
        "natural_language_instruction": np.str_,
    }
    steps = {"action": action, "observation": observation, "is_last": np.bool_}
    features = tfds.features.FeaturesDict({"steps": tfds.features.Dataset(steps)})
    poses = np.arange(14, dtype=np.float32).reshape(2, 7)
    rows = [
        {
            "action": {
                "world_vector": np.ones(3, np.float32),
                "rotation_delta": np.zeros(3, np.float32),
                "gripper_closedness_action": np.array([step], np.float32),
            },
            "observation": {
                "clip_function_input/base_pose_tool_reached": poses[step],
                "gripper_closed": np.array([0.25], np.float32),
                "natural_language_instruction": "pick anything",
            },
            "is_last": step == 1,
        }
        for step in range(2)
    ]
    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
    payload = serializer.serialize_example(features.encode_example({"steps": rows}))
    ready = prepare(CARDS["kuka"], parse(payload, dict(_leaves(features, "")), Place(0, 0)))
    np.testing.assert_array_equal(ready.proprio[:, :7], poses)
    np.testing.assert_array_equal(ready.proprio[:, 7], [0.75, 0.75])
    np.testing.assert_array_equal(ready.actions, [[1, 1, 1, 0, 0, 0, 1], [1, 1, 1, 0, 0, 0, 0]])
    assert ready.action_ok.tolist() == [True, False]
    assert ready.texts == (["", ""],)
