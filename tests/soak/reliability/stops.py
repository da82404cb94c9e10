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
import json
import signal
import statistics
import time
from typing import Any

from tests.soak.reliability.campaigns import (
    AFTER_END,
    BEFORE_STEPS,
    IN_SAVE,
    SLOW_SAVES,
    STOCK,
    Campaign,
    add_campaign_options,
    run_campaigns,
)
from tests.soak.reliability.cases import CASES
from tests.soak.reliability.jobs import TFDL, Leg

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
    add_campaign_options(parser, 40, 50, list(CASES)[:2], ["tfdl", "stock"])
    parser.add_argument("--slow-saves", action="store_true", help="writing a checkpoint takes six seconds")
    options = parser.parse_args(arguments)
    straight = STOCK if options.program == "stock" else TFDL
    return run_campaigns(Stops, SLOW_SAVES if options.slow_saves else straight, straight, options)


if __name__ == "__main__":
    main()
