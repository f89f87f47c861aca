"""One trial: train one model under one schedule, and evaluate it on the way. No Ray in here."""

from __future__ import annotations

import copy
import math
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from mollitune.models import GenerativeModel, allow_tf32, build, fractions, spread
from mollitune.search.data.batches import Batches
from mollitune.search.data.images import Images, Splits, as_tensor, on_device, points
from mollitune.search.metrics.extras.base import Trained
from mollitune.search.metrics.extras.registry import look_at_end
from mollitune.search.metrics.fid import FidMeter, Measurement
from mollitune.search.metrics.reference import Reference
from mollitune.search.store.evaluation import Evaluation, averaged

from .averaging import WeightAverage
from .gradients import gradients_of
from .optimisers import KINDS, excess, fill, in_layout, learning_rate, optimiser_of
from .spec import Final, Probe, TrialSpec, cooldown, cooldown_steps

__all__ = ["Evaluation", "Final", "Probe", "TrainingDivergedError", "Trial", "TrialSpec"]

BPD_IMAGES = 1000
LOST_STEPS_SHARE = 0.01
LOST_STEPS_LEAST = 10
COUNTED_EVERY = 50
"""Steps after which the lost ones are counted: to look at each would wait for a GPU each time."""
LOST_SAMPLES_SHARE = 0.05
LOST_BRANCH_SHARE = 0.1
INITIAL_IMAGES = 256

# Offsets that make one seed into the independent seeds of one trial.
_BATCHES, _DEQUANTISE, _MOLLIFY, _SAMPLES, _EVALUATE, _INITIALISE, _LOOK = range(1, 8)


class TrainingDivergedError(RuntimeError):
    """Loss or gradient was not finite too often; the message says how often and up to where."""


class Trial:
    """A training run that can be evaluated, saved and resumed to the same numbers.

    Batches, dequantisation and mollification draw from generators of their own, and the model
    from torch's global generator, whose state the trial keeps to itself. So runs with one seed
    share initial weights and batches whatever their schedules, and nothing that happens between
    two steps, such as an evaluation, changes the training.

    Arguments:
        spec: What to train.
        splits: Train and validation images; the test images are not touched.
        reference: What FID compares with.
        fid_samples: Generated images per evaluation.
        device: Where to train.
        extras: Metrics besides FID, see `FidMeter`.
        alive: Called before every training step and every batch of an evaluation. `state_dict` may
            be taken in it, and what it raises ends the training there.
        compiled: Whether `torch.compile` makes one piece of code of loss and gradients.
        graphs: Whether the steps of one of our models are a CUDA graph where the trial is trained
            in a stack, also in one of its own.

    Attributes:
        compiled: As given.
        graphs: As given, on a GPU.
        step: Training steps done.
        evaluated: Training steps done at the last evaluation.
        model: What is trained.
        optimiser: The optimiser, with its moments.
        images: All training images as bytes, on the device.

    Raises:
        ValueError: If the model or one of its arguments is not legal.

    Example:
        >>> from mollitune.schedules import Sigmoid
        >>> TrialSpec("vae", Sigmoid(until=0.6), seed=0, steps=90, every=1 / 3).evaluation_steps()
        [30, 60, 90]
    """

    def __init__(
        self,
        spec: TrialSpec,
        splits: Splits,
        reference: Reference,
        fid_samples: int,
        device: torch.device,
        extras: Sequence[str] = (),
        alive: Callable[[], None] = lambda: None,
        *,
        compiled: bool = False,
        graphs: bool = False,
    ) -> None:
        self.spec = spec
        self.compiled = compiled
        self.graphs = graphs and device.type == "cuda"
        self._marks = spec.evaluation_steps()
        self._alive = alive
        self.device = device
        self.step = 0
        self.evaluated = 0
        self.lost_steps = 0
        self.lost_samples = 0
        # since the last evaluation: the losses, NaN where lost; how many were looked at; seconds
        self._losses: list[Tensor] = []
        self._counted = 0
        self._seconds = 0.0
        self._ends: list[dict[str, float]] = []  # metrics at the marks of `TrialSpec.final`
        self._rng_is_ours = False
        self.images = on_device(splits.train, device)
        # of the part that samples are compared with: a confirmation judges by test data alone
        by_test = reference.split == "test"
        held_out = splits.test if by_test else splits.validation
        self._held_out = as_tensor(held_out.pixels[:BPD_IMAGES]).to(device)
        self._selected: dict[str, Any] | None = None  # the best weights, see `Final.best`
        self._select_by = (
            as_tensor(splits.validation.pixels[:BPD_IMAGES]).to(device) if by_test else None
        )
        self._meter = FidMeter(reference, fid_samples, device, extras)
        with torch.random.fork_rng(devices=self._cuda()):
            torch.manual_seed(spec.seed)
            self.model: GenerativeModel = build(
                spec.model, splits.shape, preset=spec.training.preset, **spec.training.hparams
            )
            self.model.to(device)
            allow_tf32(False)
            self._initialise()
            self._rng = self._rng_state()
        ema = spec.training.ema
        self._average = None if ema is None else WeightAverage(self.model, ema * spec.steps)
        self.optimiser = optimiser_of(self.model.parameters(), spec.training)
        self._gradients = gradients_of(self.model, spec, compiled)
        self._batches = Batches(
            len(splits.train), spec.training.batch_size, self._seed(_BATCHES), device
        )
        self._dequantise = self._generator(_DEQUANTISE)
        self._mollify = self._generator(_MOLLIFY)

    @property
    def next_mark(self) -> int | None:
        """Training steps after which the next evaluation is due; None after the last one."""
        later = bisect_right(self._marks, self.evaluated)
        return self._marks[later] if later < len(self._marks) else None

    def run(self) -> Iterator[Evaluation]:
        """Train from the current step to the end and yield an evaluation at each mark.

        Raises:
            TrainingDivergedError: If more than 1 % of the steps (and 10) had no finite loss or
                gradient.
        """
        while self.next_mark is not None:
            self.train()
            evaluation = self.report()
            yield evaluation
            if evaluation.failure:
                return

    def train(self, after_step: Callable[[], None] = lambda: None) -> None:
        """Train to the next mark.

        Args:
            after_step: Called after each step; `state_dict` may be taken in it.

        Raises:
            TrainingDivergedError: As for `run`.
        """
        mark = self.next_mark
        if mark is not None:
            self._train_until(mark, after_step)

    def report(self) -> Evaluation:
        """Evaluate at a mark that the training has reached; the next one is due then.

        Loss and seconds are of all steps since the last evaluation, also if the training was
        resumed on the way. The metrics of the last evaluation are the means over those of
        `TrialSpec.final` that were on clean data, or those of the best weights.
        """
        loss = float(torch.stack(self._losses).nanmean()) if self._losses else math.nan
        seconds = self._seconds / (self.step - self.evaluated)
        probe = self.probe() if self.step in self.spec.probe_steps() else None
        # of the best weights what is measured at the end alone comes with them
        last = self.step == self.spec.steps and not self.spec.final.best
        evaluation = self.evaluate(loss, seconds, probe, last=last)
        if self.spec.final.best:
            evaluation = self._best(evaluation)
        evaluation = self._averaged(evaluation)
        self.evaluated, self._losses, self._counted, self._seconds = self.step, [], 0, 0.0
        return evaluation

    def _best(self, evaluation: Evaluation) -> Evaluation:
        """Keep the weights if none were better; return the evaluation of those at the end."""
        bits = evaluation.bpd
        if self._select_by is not None:
            with self._evaluating() as model:
                bits = self._bits_per_dim(model, self._select_by)
        model = self.model if self.averaged is None else self.averaged
        if self._selected is None or bits < self._selected["bits"]:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            self._selected = {"bits": bits, "step": self.step, "weights": weights}
        if self.step < self.spec.steps:
            return evaluation
        model.load_state_dict(self._selected["weights"])
        again = self.evaluate(evaluation.train_loss, evaluation.step_seconds, last=True)
        return replace(again, step_fid=evaluation.step_fid)

    def _averaged(self, evaluation: Evaluation) -> Evaluation:
        if self.step in self.spec.final_steps() and evaluation.phase == "clean":
            self._ends.append(evaluation.metrics)
            if self.step == self.spec.steps:
                return averaged(evaluation, self._ends)
        return evaluation

    def probe(self) -> Probe:
        """Measure FID after a cooldown branch, and go back to where the branch began.

        Neither the training nor its counters notice. The FID is NaN if the branch diverged: with
        more than 10 % of its steps lost, or more than 5 % of the samples not finite.
        """
        state = copy.deepcopy(self.state_dict())
        steps = cooldown_steps(self.step, self.spec.probe_extra)
        fid = self._branch(cooldown(self.spec.schedule, self.step / self.spec.steps, steps))
        self.load_state_dict(state)
        return Probe(fid, steps)

    def evaluate(
        self,
        train_loss: float,
        step_seconds: float,
        probe: Probe | None = None,
        *,
        last: bool = False,
    ) -> Evaluation:
        """Measure FID and bits per dim on clean data; the training is not disturbed.

        With more than 5 % of the samples not finite, the evaluation says so in ``failure``.

        Args:
            train_loss: Mean since the last evaluation.
            step_seconds: Seconds of a step, the mean since then.
            probe: What a cooldown branch gave.
            last: Whether to measure what is measured at the end only: FID in other networks,
                metrics of the model itself, bits per dim of training images.
        """
        start = time.perf_counter()
        progress, train_bpd = self.step / self.spec.steps, None
        with self._evaluating() as model:
            measured = self._measure(model, self._meter, beside=last)
            bpd = self._bits_per_dim(model, self._held_out)
            extras = dict(measured.extras)
            if last:
                extras |= self._look_at_end(model)
                train_bpd = self._bits_per_dim(model, self.images[: len(self._held_out)])
        self.lost_samples += measured.non_finite
        return Evaluation(
            step=self.step,
            progress=progress,
            level=self.spec.schedule.level(progress),
            phase="mollified" if self.spec.schedule.mollified(progress) else "clean",
            fid=measured.fid,
            step_fid=measured.fid,
            bpd=bpd,
            nll=self.nats(bpd),
            train_bpd=train_bpd,
            train_loss=train_loss,
            non_finite_losses=self.lost_steps,
            non_finite_samples=self.lost_samples,
            probe_fid=None if probe is None else probe.fid,
            probe_steps=0 if probe is None else probe.steps,
            step_seconds=step_seconds,
            eval_seconds=time.perf_counter() - start,
            samples=measured.pixels,
            extras=extras,
            failure=self._sampling_failure(measured.non_finite),
        )

    def judge(self, images: Images, reference: Reference) -> tuple[Measurement, float]:
        """Measure against other images, such as those of the test split.

        The training is not disturbed, and nothing is counted.

        Args:
            images: For bits per dim, all of them.
            reference: For FID, of the same images.

        Returns:
            FID and what goes with it, and the mean bits per dim.
        """
        meter = FidMeter(reference, self._meter.samples, self.device)
        with self._evaluating() as model:
            measured = self._measure(model, meter)
            return measured, self._bits_per_dim(model, as_tensor(images.pixels).to(self.device))

    def nats(self, bpd: float) -> float:
        """Return bits per dimension as nats of a whole image or row."""
        return bpd * math.prod(self.image_shape) * math.log(2)

    @property
    def averaged(self) -> GenerativeModel | None:
        """The model with the averaged weights; None if there are none."""
        return None if self._average is None else self._average.model

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed trial needs to go on to the same numbers."""
        return {
            "step": self.step,
            "evaluated": self.evaluated,
            "losses": torch.stack(self._losses) if self._losses else torch.empty(0),
            "counted": self._counted,
            "seconds": self._seconds,
            "ends": list(self._ends),
            "selected": self._selected,
            "lost_steps": self.lost_steps,
            "lost_samples": self.lost_samples,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "batches": self._batches.state_dict(),
            "dequantise": self._dequantise.get_state(),
            "mollify": self._mollify.get_state(),
            "rng": self._rng_state() if self._rng_is_ours else self._rng,
            "average": None if self._average is None else self._average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` returned."""
        self.step = state["step"]
        # checkpoints of 0.1 were made at evaluations only
        self.evaluated = state.get("evaluated", self.step)
        self._losses = list(state.get("losses", torch.empty(0)).unbind())
        self._counted = state.get("counted", len(self._losses))
        self._seconds = state.get("seconds", 0.0)
        self._ends = list(state.get("ends", []))
        self._selected = state.get("selected")
        self.lost_steps = state["lost_steps"]
        self.lost_samples = state["lost_samples"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        fill(self.optimiser, self.spec.training.optimiser)
        self._lay_out_moments()
        self._batches.load_state_dict(state["batches"])
        self._dequantise.set_state(state["dequantise"].cpu())
        self._mollify.set_state(state["mollify"].cpu())
        self._rng = [part.cpu() for part in state["rng"]]
        if self._average is not None:
            self._average.load_state_dict(state["average"])

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape (C, H, W) of one image, or (D,) of a row."""
        return tuple(self.images.shape[1:])

    def batch(self, progress: float) -> Tensor:
        """Return the next training batch, dequantised and mollified, with shape (N, C, H, W)."""
        indices, drawn = self.take()
        return self.mollified(spread(self.images[indices], drawn), progress)

    def take(self) -> tuple[Tensor, Tensor]:
        """Return the indices of the next batch, and what spreads its bytes over their cells."""
        self._alive()
        indices = self._batches.next()
        shape = (len(indices), *self.image_shape)
        return indices, fractions(shape, self._dequantise, self.device)

    def mollified(self, x: Tensor, progress: float) -> Tensor:
        """Return a batch as the schedule has it; ``x`` itself where that is clean."""
        return self.spec.schedule(x, progress, generator=self._mollify)

    def learning_rate(self, step: int) -> float:
        """Learning rate after so many steps."""
        return learning_rate(self.spec.training, step, self.spec.steps)

    @property
    def clip_norm(self) -> float:
        """Norm to which a longer gradient is cut; infinite if it never is."""
        return math.inf if self.spec.training.clip_norm is None else self.spec.training.clip_norm

    def stepped(self, loss: Tensor, seconds: float) -> None:
        """Note a training step: its loss, NaN if it was skipped, and what it took.

        Raises:
            TrainingDivergedError: If there were too many of those; found out now and then, and at
                the next evaluation.
        """
        self._losses.append(loss)
        self.step += 1
        self._seconds += seconds
        if self.step % COUNTED_EVERY == 0 or self.step == self.next_mark:
            self._count_lost()

    def _count_lost(self) -> None:
        new = torch.stack(self._losses[self._counted :]).isnan().tolist()
        self._counted = len(self._losses)
        for step, lost in enumerate(new, self.step - len(new)):
            self.lost_steps += lost
            if self.lost_steps > self._lost_limit:
                raise TrainingDivergedError(
                    f"{self.lost_steps} steps without a finite loss and gradient up to step "
                    f"{step} of {self.spec.steps}; lower the learning rate or the model's scale"
                )

    @property
    def _lost_limit(self) -> float:
        return max(LOST_STEPS_LEAST, LOST_STEPS_SHARE * self.spec.steps)

    def noise_generator(self) -> torch.Generator:
        """Return a generator in the state of torch's global one, as the trial keeps it."""
        return torch.Generator(self.device).set_state(self._rng[-1])

    def keep_noise(self, generator: torch.Generator) -> None:
        """Go on with the state of a generator that drew in place of torch's global one."""
        self._rng[-1] = generator.get_state()

    def _train_until(self, mark: int, after_step: Callable[[], None]) -> None:
        before = time.perf_counter()
        with self._own_rng():
            while self.step < mark:
                loss = self._train_step(self.step / self.spec.steps)
                now = time.perf_counter()
                self.stepped(loss, now - before)
                after_step()
                before = now
        self._seconds += time.perf_counter() - before  # in which a GPU came to the end

    def _branch(self, path: Sequence[float]) -> float:
        """Train along a path of progress without counting steps; return the FID at its end."""
        with self._own_rng():
            losses = [self._train_step(progress) for progress in path]
        lost = int(torch.stack(losses).isnan().sum())
        with self._evaluating() as model:
            measured = self._measure(model, self._meter)
        # a short branch that lost its steps would show the model as it was before
        stuck = lost > LOST_BRANCH_SHARE * len(path) or self.lost_steps + lost > self._lost_limit
        return math.nan if stuck or self._sampling_failure(measured.non_finite) else measured.fid

    def _train_step(self, progress: float) -> Tensor:
        """Make one step; return its loss, or NaN if it or its gradient was not finite.

        Such a step is skipped, on the device itself: it would leave no finite weight behind.
        """
        loss = self._gradients(self.batch(progress))
        norm = get_total_norm(p.grad for p in self.model.parameters() if p.grad is not None)
        lost = ~torch.isfinite(loss + norm)
        # what fused optimisers know from `torch.amp.GradScaler`: a divisor, and whether to skip
        vars(self.optimiser).update(
            grad_scale=excess(norm, self.clip_norm), found_inf=lost.to(torch.float32)
        )
        self.optimiser.param_groups[0]["lr"] = self.learning_rate(self.step)
        self.optimiser.step()
        if self._average is not None:
            self._average.update(self.model)
        return loss.masked_fill(lost, math.nan)

    def _lay_out_moments(self) -> None:
        # those of an older checkpoint may lie in memory as the parameters lay then
        for param, state in self.optimiser.state.items():
            for name in KINDS[self.spec.training.optimiser].moments:
                state[name] = in_layout(state[name], param)

    def _initialise(self) -> None:
        """Fit the model's data-dependent initial values; arms of one seed see the same images."""
        initialise = getattr(self.model, "initialise", None)  # a user's own class may lack it
        if initialise is None:
            return
        generator = self._generator(_INITIALISE)
        size = (min(INITIAL_IMAGES, len(self.images)),)
        indices = torch.randint(
            len(self.images), size, generator=generator, device=generator.device
        )
        clean = points(self.images[indices.to(self.device)], generator)
        initialise(clean, self.spec.schedule(clean, 0.0, generator=generator))

    def _sampling_failure(self, non_finite: int) -> str | None:
        samples = self._meter.samples
        if non_finite <= LOST_SAMPLES_SHARE * samples:
            return None
        return (
            f"{non_finite} of {samples} samples at step {self.step} of {self.spec.steps} are not "
            "finite; lower the learning rate or the model's scale"
        )

    def _bits_per_dim(self, model: GenerativeModel, images: Tensor) -> float:
        x = points(images, self._generator(_EVALUATE))
        parts = []
        for part in x.split(self.spec.training.batch_size):
            self._alive()
            parts.append(model.bits_per_dim(part))
        return float(torch.cat(parts).double().mean())

    @contextmanager
    def _evaluating(self) -> Iterator[GenerativeModel]:
        """Give the model that is evaluated, in a state of its own of torch's generators."""
        model = (self.model if self._average is None else self._average.model).eval()
        allow_tf32(False)
        with torch.random.fork_rng(devices=self._cuda()), torch.no_grad():
            torch.manual_seed(self._seed(_EVALUATE))
            yield model
        self.model.train()

    def _measure(
        self, model: GenerativeModel, meter: FidMeter, *, beside: bool = False
    ) -> Measurement:
        generator = self._generator(_SAMPLES)

        def draw(n: int) -> Tensor:
            self._alive()
            return model.sample(n, generator)

        return meter.measure(draw, beside=beside)

    def _look_at_end(self, model: GenerativeModel) -> dict[str, float]:
        """Return what the metrics of ``fid.extra`` say that look at the model itself."""
        meter = FidMeter(self._meter.reference, self._meter.samples, self.device)

        def fid(draw: Callable[[int], Tensor]) -> float:
            self._alive()
            return meter.measure(draw).fid

        generator = self._generator(_LOOK)
        trained = Trained(model, self.images, self._meter.samples, generator, fid)
        return look_at_end(self._meter.extras, trained)

    @contextmanager
    def _own_rng(self) -> Iterator[None]:
        """Run with the trial's own state of torch's global generators, and keep it."""
        allow_tf32(self.spec.training.precision == "tf32")
        with torch.random.fork_rng(devices=self._cuda()):
            torch.set_rng_state(self._rng[0])
            if len(self._rng) > 1:
                torch.cuda.set_rng_state(self._rng[1], self.device)
            self._rng_is_ours = True
            try:
                yield
            finally:
                self._rng, self._rng_is_ours = self._rng_state(), False

    def _rng_state(self) -> list[Tensor]:
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _cuda(self) -> list[torch.device]:
        return [self.device] if self.device.type == "cuda" else []

    def _seed(self, purpose: int) -> int:
        # a linear map with a large odd factor keeps the purposes of neighbouring seeds apart
        return (self.spec.seed * 1_000_003 + purpose * 7919) % 2**63

    def _generator(self, purpose: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(self._seed(purpose))
