"""Goodput: which part of its time does a run that is killed again and again spend on steps that count?

    python -m tests.soak.reliability.goodput
    python -m tests.soak.reliability.goodput --checkpoint-steps 100000    # the control: a checkpoint at ends of epochs

A run is killed once a minute. The time of the steps that count is ``train_seconds`` of the last checkpoint: the graph
calls of all steps that were not lost, without the first call of each process. It is divided by the time from the end of
the first call to the kill, over all processes, which also has checkpoints, validations, logs, and the steps that were
lost. The start of a process, to the end of its first graph call, is reported separately.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.soak.reliability.jobs import Training
from tests.soak.reliability.results import add_output_options, report
from tfdl.config import compose, to_yaml

CONFIG = {
    "model": "lstm-small",
    "dataset": {"name": "python_topics", "validation_split": "validation[:2]", "test_split": "test[:2]"},
    "steps": 1_000_000,
    "epochs": None,
    "xla": "off",
}


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Prints one row, and returns it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=60.0, help="from the start of a process until it is killed")
    parser.add_argument("--checkpoint-steps", type=int, default=50)
    add_output_options(parser)
    options = parser.parse_args(arguments)
    config = compose(CONFIG, {"checkpoint_steps": options.checkpoint_steps})
    starts, trained, made, kept = [], [], [], [0]
    with tempfile.TemporaryDirectory(prefix="tfdl-goodput-") as name:
        training = Training(Path(name) / "run", to_yaml(config))
        for _ in range(options.processes):
            leg = training.start()
            start = leg.wait_for_steps()
            assert start is not None, leg.text
            assert not leg.is_over_at(options.seconds), leg.text
            trained.append(time.time() - leg.begin - start)
            leg.kill()
            starts.append(start)
            made.append(max(leg.steps_made()) - kept[-1])
            kept.append(training.newest_step)
        newest = training.run / "checkpoints" / f"step-{kept[-1]:08d}" / "progress.json"
        useful = json.loads(newest.read_text())["train_seconds"] if kept[-1] else 0.0
    row = {
        "kills": options.processes,
        "minutes": f"{sum(trained) / 60 + sum(starts) / 60:.1f}",
        "steps that count": kept[-1],
        "steps made again": sum(made) - kept[-1],
        "ms a step": f"{1000 * useful / max(1, kept[-1]):.1f}",
        "of the time after the starts": f"{useful / sum(trained):.1%}",
        "start of a process": f"{statistics.median(starts):.1f} s, at most {max(starts):.1f} s",
    }
    report([row], {"starts": starts, "trained": trained, "made": made, "kept": kept, "useful": useful}, options)
    return [{**row, "goodput": useful / sum(trained)}]


if __name__ == "__main__":
    main()
