"""A model whose names do not fit together is refused when it is written down."""

import dataclasses

import pytest

from wamjax.model.config import Cross, Expert, Port, Stack, Take, WamConfig

EXPERT = Expert(name="video", width=8, mlp=16)
STACK = Stack(name="main", depth=1, heads=1, head_dim=6, experts=(EXPERT,))
PORT = Port(stream="video", into="video")
WORD = Port(stream="proprio", into="video", through="text")
READER = dataclasses.replace(EXPERT, name="reader", cross=Cross(memory="text"))


def second(**changes) -> Stack:
    return dataclasses.replace(STACK, name="second", experts=(READER,), **changes)


@pytest.mark.parametrize(
    ("stacks", "ports", "sentence"),
    [
        ((STACK, STACK), (PORT,), "stack main is named twice"),
        ((STACK, dataclasses.replace(STACK, name="other")), (PORT,), "expert video is named twice"),
        ((STACK,), (PORT, PORT), "port video into video is named twice"),
        ((STACK,), (PORT, Port(stream="text", into="main")), "names both a stack and a memory"),
        ((STACK, second()), (PORT,), "stack second reads text"),
        ((STACK,), (dataclasses.replace(PORT, behind="head"),), "reads behind head"),
        (
            (STACK,),
            (dataclasses.replace(PORT, embed="relu_mlp"),),
            "video has relu_mlp: say how wide",
        ),
        ((STACK,), (PORT, WORD), "proprio enters video through text, which needs a port"),
        (
            (STACK,),
            (PORT, WORD, Port(stream="text", into="video", embed="words")),
            "through text, which needs a port there with maps of its own",
        ),
        (
            (STACK,),
            (PORT, WORD, Port(stream="text", into="video", through="video")),
            "proprio enters video through text",
        ),
        (
            (dataclasses.replace(STACK, takes=(Take(stack="main", kinds=(), expert="video"),)),),
            (PORT,),
            "stack main reads main",
        ),
    ],
)
def test_names_that_do_not_fit_are_refused(stacks, ports, sentence):
    with pytest.raises(ValueError, match=sentence):
        WamConfig(stacks=stacks, ports=ports)


def test_a_stream_without_a_port_is_refused():
    config = WamConfig(stacks=(STACK,), ports=(PORT,))
    with pytest.raises(ValueError, match="no port for the stream 'action'"):
        config.port("action")
