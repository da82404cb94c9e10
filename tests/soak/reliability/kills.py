"""SIGKILL at random moments: does the run always resume, and to the same bits?

    python -m tests.soak.reliability.kills
    python -m tests.soak.reliability.kills --ranks 2 --moments 30
    python -m tests.soak.reliability.kills --forget-random-streams --moments 8    # the control

Each run is started again after each kill, until it is done; then the next one begins. Every fourth moment is a random
part of the time of an uninterrupted run, from the start of the process: preparing the data, compiling. The others are
a random part of the time that its steps take, from the first step on: training, saving, validating, and the end. Of two
ranks, one of them or everything is killed, in turn. The weights and metrics of each run are compared with those of the
uninterrupted one.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.soak.reliability.cases import CASES, config_of
from tests.soak.reliability.jobs import TFDL, Leg, Training
from tests.soak.reliability.results import add_output_options, report
from tfdl.config import to_yaml

CONTROL = (sys.executable, str(Path(__file__).with_name("forgetful.py")))


class Campaign:
    """Kills one case again and again.

    Args:
        case: of ``cases.py``.
        options: of the program.
        folder: for the runs.
    """

    def __init__(self, case: str, options: argparse.Namespace, folder: Path):
        self._options = options
        self._folder = folder
        self._random = random.Random(f"{options.seed} {case}")
        self._config = to_yaml(config_of(case, options.checkpoint_steps))
        self._program = CONTROL if options.forget_random_streams else TFDL
        self._num_runs = 0
        self.kills: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []

    def run(self, moments: int) -> None:
        """Makes the uninterrupted run, then kills others.

        Args:
            moments: how many kills.
        """
        straight = self._new_training(TFDL)
        self._expected = straight.finish()
        times = [line["time"] - straight.legs[0].begin for line in straight.lines()]
        self._start_seconds = times[0]
        self._seconds = times[-1]
        straight.remove()
        training = self._new_training(self._program)
        while len(self.kills) < moments:
            leg = training.start()
            if leg.is_over_at(self._moment(leg)):
                assert leg.wait() == 0, f"a resumed run has ended with {leg.wait()}: {leg.text[-2000:]}"
                self._compare(training)
                training = self._new_training(self._program)
                continue
            self._kill(leg)
        training.finish()
        self._compare(training)

    def _new_training(self, program: tuple[str, ...]) -> Training:
        self._num_runs += 1
        return Training(self._folder / str(self._num_runs), self._config, self._options.ranks, program)

    def _moment(self, leg: Leg) -> float:
        """When to kill a process that was just started, in seconds since then."""
        if len(self.kills) % 4 == 0:
            return self._random.uniform(0, self._seconds)
        within = self._random.uniform(0, self._seconds - self._start_seconds)
        return (leg.wait_for_steps() or 0.0) + within

    def _kill(self, leg: Leg) -> None:
        training = leg.training
        before = training.newest_step
        unfinished = training.unfinished
        ranks = self._options.ranks
        rank = None if ranks == 1 else (None, *range(ranks))[len(self.kills) % (ranks + 1)]
        is_rank = leg.kill(rank)
        steps = leg.steps_made()
        if training.is_done:
            phase = "after the end"
        elif training.unfinished - unfinished:
            phase = "while a checkpoint was written"
        elif steps:
            phase = "in training or validation"
        else:
            phase = "before the first step"
        newest = training.newest_step
        lost = max(steps, default=newest) - newest
        self.kills.append({"phase": phase, "rank": rank if is_rank else None, "from": before, "lost": max(0, lost)})

    def _compare(self, training: Training) -> None:
        is_equal = training.results == self._expected
        print(f"  {len(self.kills)} kills, run of {len(training.legs)} processes:", is_equal, file=sys.stderr, flush=True)
        self.runs.append({"processes": len(training.legs), "is_equal": is_equal, "results": training.results})
        training.remove()


def row_of(case: str, campaign: Campaign) -> dict[str, Any]:
    """A row of the table."""
    kills = campaign.kills
    phases = [kill["phase"] for kill in kills]
    killed = [run for run in campaign.runs if run["processes"] > 1]
    return {
        "run": case,
        "kills": len(kills),
        "before the first step": phases.count("before the first step"),
        "while a checkpoint was written": phases.count("while a checkpoint was written"),
        "steps lost at most": max(kill["lost"] for kill in kills),
        "runs that were killed": len(killed),
        "same weights and metrics": sum(run["is_equal"] for run in killed),
    }


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Prints a row for each case, and returns them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=100, help="kills, over all cases")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--checkpoint-steps", type=int, default=10)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), metavar="CASE")
    parser.add_argument("--forget-random-streams", action="store_true", help="the control: runs that resume without them")
    add_output_options(parser)
    options = parser.parse_args(arguments)
    rows = []
    notes = {}
    with tempfile.TemporaryDirectory(prefix="tfdl-kills-") as name:
        for index, case in enumerate(options.cases):
            print(case, file=sys.stderr, flush=True)
            campaign = Campaign(case, options, Path(name) / str(index))
            share, rest = divmod(options.moments, len(options.cases))
            campaign.run(share + (index < rest))
            rows.append(row_of(case, campaign))
            notes[case] = {"kills": campaign.kills, "runs": campaign.runs}
    report(rows, notes, options)
    return rows


if __name__ == "__main__":
    main()
