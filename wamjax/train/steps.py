"""The steps themselves: from where a run stands through its stages, until the end or a stop.

    batch -> step -> metrics now and then -> checkpoint now and then

A save point among skipped steps waits for the first step that is taken, so that the newest
checkpoint is always good to go back to; a stop does not wait.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from jax.sharding import NamedSharding

from wamjax.core.progress import Progress, seconds
from wamjax.core.typing import Key
from wamjax.model.backends import ways_in, ways_text
from wamjax.parallel.activations import spread_over
from wamjax.train.agree import refuse_other_programs
from wamjax.train.checkpoint import Checkpoints
from wamjax.train.config import TrainConfig
from wamjax.train.flops import compiled
from wamjax.train.goodput import Goodput
from wamjax.train.heartbeat import Heart
from wamjax.train.inputs import inspect_inputs
from wamjax.train.meter import Meter
from wamjax.train.metrics import Metrics
from wamjax.train.prefetch import Prefetch
from wamjax.train.protocols import Evaluate, System
from wamjax.train.rollback import PassedOver
from wamjax.train.state import Plan, TrainState, begin_stage
from wamjax.train.step import make_step
from wamjax.train.stop import GRACE, Stop


@dataclasses.dataclass(kw_only=True)
class Standing:
    """Where a run stands.

    Attributes:
        step: steps done.
        index: of the stage that runs the next step.
        state: the state after them.
        meta: what is told of the run beside its checkpoints.
    """

    step: int
    index: int
    state: TrainState
    meta: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Steps:
    """Runs steps; all that stays the same while a run goes on, goes back and goes on again."""

    system: System
    settings: TrainConfig
    plans: Sequence[Plan]
    rows: NamedSharding
    run_key: Key
    input_key: Key
    evaluate: Evaluate | None
    checkpoints: Checkpoints
    passed_over: PassedOver
    stop: Stop
    goodput: Goodput
    heart: Heart
    say: Callable[[str], None]
    stream: TextIO

    def run(self, at: Standing, batches: Prefetch, metrics: Metrics, meter: Meter) -> None:
        """Move `at` to the end of the run, or to where it was stopped.

        Raises:
            GoBack: too many steps in a row were skipped.
            UserError: as `train.loop.train`.
        """
        settings, goodput = self.settings, self.goodput
        last = self.plans[-1].stage.end
        began = time.monotonic() - at.meta["seconds"]
        due, stopping = False, self.stop.requested
        for plan, following in itertools.pairwise([*self.plans[at.index :], None]):
            if plan is None or at.step == last or stopping:
                break
            stage = plan.stage
            batch = self._take(batches)
            train_step, flops = self._compiled(plan, at, batch)
            progress = Progress(
                f"train {stage.name}",
                stage.steps,
                "steps",
                done=at.step - stage.start,
                stream=self.stream,
            )
            with progress:
                meter.restart(batches.waited)
                self.heart.restart(at.step)
                while True:
                    with goodput.of("step"):
                        at.state, row = train_step(at.state, batch, self.run_key)
                        at.step += 1
                        at.meta["flops"] += flops
                        meter.add(at.step, row, batches.state)
                        self.heart.beat(at.step)
                        ends = at.step == stage.end
                        stopping = self._stopping(at.step)
                        note = ""
                        if at.step % settings.log_every == 0 or ends or stopping:
                            values = meter.mean(batches.waited)
                            values["seconds"] = time.monotonic() - began
                            metrics.write(at.step, values)
                            note = _note(values)
                        progress.advance(note=note)
                    # A checkpoint between two stages belongs to the later one.
                    if ends and following is not None:
                        at.state = begin_stage(at.state, following)
                    due |= at.step % settings.save_every == 0
                    if due or at.step == last or stopping:
                        meter.check()
                        at.meta["streak"] = meter.streak.count
                        if not meter.streak.count or at.step == last or stopping:
                            due, paused = False, time.monotonic()
                            if self.evaluate is not None and not stopping:
                                with goodput.of("evaluation"):
                                    metrics.write(at.step, self.evaluate(at.state.ema, at.step))
                            at.meta["seconds"] = time.monotonic() - began
                            self._save(at, batches)
                            meter.leave_out(time.monotonic() - paused)
                            self.heart.restart(at.step)
                    if ends or stopping:
                        break
                    batch = self._take(batches)

    def _take(self, batches: Prefetch) -> Any:
        with self.goodput.of("data"):
            return batches.take()

    def _compiled(self, plan: Plan, at: Standing, batch: Any) -> tuple[Any, float]:
        stage, settings = plan.stage, self.settings
        if at.step == stage.start:
            with spread_over(plan.mesh):
                inspect_inputs(self.system, at.state.params, batch, stage, self.input_key, self.say)
        self.say(
            f"stage {stage.name} ({stage.objective}): {plan.trained:,} weights trained, "
            f"{plan.total - plan.trained:,} frozen; compiling."
        )
        program = make_step(
            self.system,
            plan,
            settings.ema,
            self.rows,
            settings.augment,
            settings.spike_sigmas,
            settings.parts,
        )
        with self.goodput.of("compile"):
            train_step, flops, compiling = compiled(
                program,
                at.state,
                batch,
                self.run_key,
                look=lambda jaxpr: self._say_ways(ways_in(jaxpr)),
                check=lambda lowered: refuse_other_programs(f"stage {stage.name}", lowered),
            )
        at.meta["compile_seconds"] += compiling
        self.say(f"compiled in {seconds(compiling)}; {flops / 1e9:.3g} GFLOP per step.")
        return train_step, flops

    def _say_ways(self, ways: Mapping[str, str]) -> None:
        if ways:
            self.say(f"attention: {ways_text(ways)}.")

    def _stopping(self, step: int) -> bool:
        if self.checkpoints.preempted(step):
            self.stop.request()
        if self.stop.requested:
            self.say(f"SIGTERM: saves step {step}; {GRACE:g} s are promised.")
        return self.stop.requested

    def _save(self, at: Standing, batches: Prefetch) -> None:
        with self.goodput.of("checkpoint"):
            self.passed_over.saved(at.step)
            at.meta["goodput"] = self.goodput.told()
            self.checkpoints.save(at.step, at.state, batches.state, at.meta)


def _note(values: dict[str, float]) -> str:
    """What stands behind the rate; an interval in which no step was taken has no loss."""
    skipped = f"{values['skipped']:.0f} skipped" if values["skipped"] else ""
    loss = f"loss {values['loss']:.4g}" if "loss" in values else ""
    return ", ".join(word for word in (loss, skipped) if word)
