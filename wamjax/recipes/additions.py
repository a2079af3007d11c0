"""What an objective adds to a transformer: the rest of its weights stays as it is."""

import dataclasses

from wamjax.model.config import WamConfig


def told_jumps(model: WamConfig) -> WamConfig:
    """The model whose expert of the actions is told how far its velocity will be followed."""
    into = model.port("action").into
    stacks = tuple(
        dataclasses.replace(
            stack,
            experts=tuple(
                dataclasses.replace(expert, jump=expert.clock) if expert.name == into else expert
                for expert in stack.experts
            ),
        )
        for stack in model.stacks
    )
    return dataclasses.replace(model, stacks=stacks)


def read_out(model: WamConfig, streams: tuple[str, ...]) -> WamConfig:
    """The model with a head on each of the streams, whose queries predict."""
    ports = tuple(
        dataclasses.replace(port, head="plain") if port.stream in streams else port
        for port in model.ports
    )
    return dataclasses.replace(model, ports=ports)
