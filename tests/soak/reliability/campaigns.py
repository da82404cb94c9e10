"""Interrupts a run again and again, and compares its results with those of an uninterrupted one."""

import argparse
import random
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.soak.reliability.cases import CASES, config_of
from tests.soak.reliability.jobs import TFDL, Leg, Training
from tests.soak.reliability.results import add_output_options, report
from tfdl.config import to_yaml

HERE = Path(__file__).parent
FORGETFUL = (sys.executable, str(HERE / "forgetful.py"))
STOCK = (sys.executable, str(HERE / "stock_fit.py"))
SLOW_SAVES = (sys.executable, str(HERE / "slow_saves.py"))
BEFORE_STEPS = "before the first step"
IN_SAVE = "while a checkpoint was written"
IN_STEPS = "in training or validation"
AFTER_END = "after the end"


@dataclass(frozen=True)
class Plan:
    """What is interrupted."""

    case: str
    """A name of ``cases.CASES``."""
    seed: int
    checkpoint_steps: int = 10
    ranks: int = 1
    program: tuple[str, ...] = TFDL
    """What is interrupted; the uninterrupted run is one of ``straight``."""
    straight: tuple[str, ...] = TFDL


class Campaign(ABC):
    """Starts a run after each interruption again, until it is done; then the next run begins.

    Every fourth moment is a random part of the time of an uninterrupted run, from the start of the process. The others
    are a random part of the time that its steps take, from the first step of the process on.

    Args:
        plan: what is interrupted.
        folder: for the runs.

    Attributes:
        interruptions: what was noted of each.
        runs: whether each had the results of the uninterrupted one.
        failures: the last lines of resumed runs that ended with an error.
    """

    def __init__(self, plan: Plan, folder: Path):
        self.plan = plan
        self.interruptions: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.failures: list[str] = []
        self._folder = folder
        self._random = random.Random(f"{plan.seed} {plan.case}")
        self._config = to_yaml(config_of(plan.case, plan.checkpoint_steps))
        self._num_runs = 0

    @abstractmethod
    def interrupt(self, leg: Leg) -> dict[str, Any]:
        """Interrupts a process, or a job; returns what is noted.

        Args:
            leg: to interrupt.
        """

    def run(self, moments: int) -> None:
        """Makes the uninterrupted run, then interrupts others.

        Args:
            moments: how many interruptions.
        """
        straight = self._new_training(self.plan.straight)
        self._expected = straight.finish()
        self._measure(straight)
        straight.remove()
        training = self._new_training(self.plan.program)
        while len(self.interruptions) < moments:
            leg = training.start()
            if leg.is_over_at(self._moment(leg)):
                training = self._next(training, leg)
                continue
            before = training.newest_step
            unfinished = training.unfinished
            noted = self.interrupt(leg)
            steps = leg.steps_made()
            newest = training.newest_step
            phase = _phase(training, steps, training.unfinished - unfinished)
            lost = max(0, max(steps, default=newest) - newest)
            self.interruptions.append(
                {"phase": phase, "newest before": before, "newest": newest, "lost": lost, **noted}
            )
        self._next(training, training.start())

    def row(self) -> dict[str, Any]:
        """What a row of every table has."""
        phases = [noted["phase"] for noted in self.interruptions]
        interrupted = [run for run in self.runs if run["processes"] > 1]
        of_checkpoints = {
            IN_SAVE: phases.count(IN_SAVE),
            "steps lost at most": max(noted["lost"] for noted in self.interruptions),
        }
        return {
            "run": self.plan.case,
            "times": len(phases),
            BEFORE_STEPS: phases.count(BEFORE_STEPS),
            **({} if self.plan.program == STOCK else of_checkpoints),
            "runs": len(interrupted),
            "of them with the same weights and metrics": sum(run["is_equal"] for run in interrupted),
            "could not resume": len(self.failures),
        }

    def _new_training(self, program: tuple[str, ...]) -> Training:
        self._num_runs += 1
        return Training(self._folder / str(self._num_runs), self._config, self.plan.ranks, program)

    def _measure(self, training: Training) -> None:
        """Takes the time of a run that one process has made."""
        times = [line["time"] - training.legs[0].begin for line in training.lines()]
        self._start_seconds = times[0]
        self._seconds = times[-1]

    def _moment(self, leg: Leg) -> float:
        """When to interrupt a process that was just started, in seconds since then."""
        if len(self.interruptions) % 4 == 0:
            return self._random.uniform(0, self._seconds)
        within = self._random.uniform(0, self._seconds - self._start_seconds)
        return (leg.wait_for_steps() or 0.0) + within

    def _next(self, training: Training, leg: Leg) -> Training:
        """Waits for the end of a run that is not interrupted again, notes its results, and makes the next run."""
        code = leg.wait()
        if code != 0:
            self.failures.append(f"exit code {code}: {leg.text[-1000:]}")
            print(self.failures[-1], file=sys.stderr, flush=True)
        else:
            is_equal = training.results == self._expected
            num_done = len(self.interruptions)
            processes = len(training.legs)
            print(f"  {num_done} done; a run of {processes} processes: {is_equal}", file=sys.stderr, flush=True)
            if processes == 1:  # it was faster than the runs before, as on a machine whose other work has ended
                self._measure(training)
            self.runs.append({"processes": processes, "is_equal": is_equal, "results": training.results})
        training.remove()
        return self._new_training(self.plan.program)


def _phase(training: Training, steps: list[int], unfinished: set[str]) -> str:
    if training.is_done:
        return AFTER_END
    if unfinished:
        return IN_SAVE
    return IN_STEPS if steps else BEFORE_STEPS


def add_campaign_options(
    parser: argparse.ArgumentParser, moments: int, checkpoint_steps: int, cases: Sequence[str], programs: Sequence[str]
) -> None:
    """Adds the options of a program that interrupts runs, with its defaults; the first program is the default."""
    parser.add_argument("--moments", type=int, default=moments, help="interruptions, over all cases")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--checkpoint-steps", type=int, default=checkpoint_steps)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(cases), metavar="CASE")
    parser.add_argument("--program", choices=list(programs), default=programs[0])
    add_output_options(parser)


def run_campaigns(
    kind: type[Campaign], program: tuple[str, ...], straight: tuple[str, ...], options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One campaign for each case, which share the moments. Prints a row for each, and returns them.

    Args:
        kind: how they interrupt.
        program: what is interrupted.
        straight: what makes the uninterrupted run.
        options: of the command line.
    """
    rows = []
    notes = {}
    with tempfile.TemporaryDirectory(prefix="tfdl-soak-") as name:
        for index, case in enumerate(options.cases):
            print(case, file=sys.stderr, flush=True)
            plan = Plan(case, options.seed, options.checkpoint_steps, options.ranks, program, straight)
            campaign = kind(plan, Path(name) / str(index))
            share, rest = divmod(options.moments, len(options.cases))
            campaign.run(share + (index < rest))
            rows.append(campaign.row())
            notes[case] = {
                "plan": asdict(plan),
                "interruptions": campaign.interruptions,
                "runs": campaign.runs,
                "failures": campaign.failures,
            }
    report(rows, notes, options)
    return rows
