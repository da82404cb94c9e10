"""SIGTERM at random moments: exit code 75, a checkpoint of the last step, and the same bits after the resume?

    python -m tests.soak.reliability.stops --moments 40
    python -m tests.soak.reliability.stops --ranks 2 --moments 10
    python -m tests.soak.reliability.stops --ranks 2 --moments 3 --slow-saves --checkpoint-steps 50
    python -m tests.soak.reliability.stops --program stock --moments 6        # the control

On several ranks horovodrun gets the signal. It kills its ranks 5 seconds after it has passed the signal on. With
``--slow-saves``, writing a checkpoint takes longer than that. The exit code is that of ``status.json``; horovodrun's is
always 1.
"""

import argparse
import dataclasses
import json
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.soak.reliability.campaigns import AFTER_END, BEFORE_STEPS, IN_SAVE, SLOW_SAVES, STOCK, Campaign, Plan
from tests.soak.reliability.cases import CASES
from tests.soak.reliability.jobs import TFDL, Leg
from tests.soak.reliability.results import add_output_options, report

STOPPED = 75


class Stops(Campaign):
    """Asks the process to stop, and waits until it ends."""

    def interrupt(self, leg: Leg) -> dict[str, Any]:
        begin = time.monotonic()
        leg.process.send_signal(signal.SIGTERM)
        code = leg.wait()
        seconds = time.monotonic() - begin
        leg.kill()  # whatever an interrupted launcher has left
        if self.plan.ranks > 1:
            code = json.loads((leg.training.run / "status.json").read_text())["code"] if leg.steps_made() else code
        return {"code": code, "seconds": seconds}

    def row(self) -> dict[str, Any]:
        row = super().row()
        # A run that has its results before it acts on the signal ends with 0.
        stops = [noted for noted in self.interruptions if noted["phase"] not in (BEFORE_STEPS, AFTER_END)]
        early = [noted["code"] for noted in self.interruptions if noted["phase"] == BEFORE_STEPS]
        row.pop(IN_SAVE, None)
        row[AFTER_END] = sum(noted["phase"] == AFTER_END for noted in self.interruptions)
        row["exit codes before the first step"] = ", ".join(sorted({str(code) for code in early})) or "none"
        row["exit codes later"] = ", ".join(sorted({str(noted["code"]) for noted in stops})) or "none"
        seconds = [noted["seconds"] for noted in stops]
        row["seconds to the end"] = f"{statistics.median(seconds):.1f}, at most {max(seconds):.1f}" if seconds else "-"
        return row


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Prints a row for each case, and returns them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=40, help="signals, over all cases")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--checkpoint-steps", type=int, default=50)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES)[:2], metavar="CASE")
    parser.add_argument("--program", choices=["tfdl", "stock"], default="tfdl")
    parser.add_argument("--slow-saves", action="store_true", help="writing a checkpoint takes six seconds")
    add_output_options(parser)
    options = parser.parse_args(arguments)
    straight = STOCK if options.program == "stock" else TFDL
    program = SLOW_SAVES if options.slow_saves else straight
    rows = []
    notes = {}
    with tempfile.TemporaryDirectory(prefix="tfdl-stops-") as name:
        for index, case in enumerate(options.cases):
            print(case, file=sys.stderr, flush=True)
            plan = Plan(case, options.seed, options.checkpoint_steps, options.ranks, program, straight)
            campaign = Stops(plan, Path(name) / str(index))
            share, rest = divmod(options.moments, len(options.cases))
            campaign.run(share + (index < rest))
            rows.append(campaign.row())
            notes[case] = {"plan": dataclasses.asdict(plan), "stops": campaign.interruptions, "runs": campaign.runs}
            notes[case]["failures"] = campaign.failures
    report(rows, notes, options)
    return rows


if __name__ == "__main__":
    main()
