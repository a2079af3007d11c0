"""diffusers' Wan in PyTorch as a contestant, eager or compiled."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from tests.benchmarks.turns import Player, serve
from tests.benchmarks.wan_work import BETAS, DECAY, EPS, RATE, STEPS, Work, in_order, started
from tests.model.wan_reference import Sizes, reference


def make(settings: dict[str, Any]) -> Player:
    """Of some work; `compiled`: by torch.compile."""
    torch.set_num_threads(1)
    work = Work(**settings["work"])
    model = reference(Sizes(**settings["work"]["sizes"]), seed=0, noise=0.0)
    first = {name: torch.tensor(weight) for name, weight in work.state("weights").items()}
    given = {name: torch.tensor(array) for name, array in work.inputs().items()}
    optimizer: list[torch.optim.Optimizer] = []

    def fresh() -> None:
        model.load_state_dict(first)
        optimizer[:] = [
            torch.optim.AdamW(
                model.parameters(), lr=RATE, betas=BETAS, eps=EPS, weight_decay=DECAY, fused=True
            )
        ]

    def predict() -> torch.Tensor:
        return model(given["latents"], 1000 * given["sigma"], given["text"]).sample

    def loss_of() -> torch.Tensor:
        return (predict() - given["target"]).square().mean()

    if settings["compiled"]:
        predict_, loss_ = torch.compile(predict), torch.compile(loss_of)
    else:
        predict_, loss_ = predict, loss_of

    @torch.no_grad()
    def forward() -> torch.Tensor:
        return predict_()

    def train_step() -> float:
        optimizer[0].zero_grad(set_to_none=True)
        loss = loss_()
        loss.backward()
        optimizer[0].step()
        return float(loss.detach())

    def predicted() -> Mapping[str, np.ndarray]:
        return {"output": forward().numpy()}

    def trained() -> Mapping[str, np.ndarray]:
        fresh()
        losses = [train_step() for _ in range(STEPS)]
        numbers = work.state("numbers")
        state = {name: weight.numpy() for name, weight in model.state_dict().items()}
        values = in_order([state[name] for name in numbers], [*numbers.values()])
        return {"loss": np.array(losses), "weights": values}

    fresh()
    run, examples = {"forward": (forward, predicted), "train step": (train_step, trained)}[
        work.program
    ]
    return started(run, examples, len(given["text"]), ("torch", "diffusers"))


if __name__ == "__main__":
    serve(make)
