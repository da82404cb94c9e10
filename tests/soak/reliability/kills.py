"""SIGKILL at random moments: does the run always resume, and to the same bits?

    python -m tests.soak.reliability.kills
    python -m tests.soak.reliability.kills --ranks 2 --moments 30
    python -m tests.soak.reliability.kills --program forgetful --moments 8    # controls
    python -m tests.soak.reliability.kills --program stock --moments 8

Each run is started again after each kill, until it is done; then the next one begins (``campaigns.py`` describes the
moments). Of two ranks, rank 0, rank 1 or everything is killed, in turn. ``forgetful`` resumes without the random
streams of dropout; ``stock`` is a Keras script with ``BackupAndRestore``.
"""

import argparse
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.soak.reliability.campaigns import FORGETFUL, STOCK, Campaign, Plan
from tests.soak.reliability.cases import CASES
from tests.soak.reliability.jobs import TFDL, Leg
from tests.soak.reliability.results import add_output_options, report

# Name -> what is killed, and what makes the uninterrupted run.
PROGRAMS = {"tfdl": (TFDL, TFDL), "forgetful": (FORGETFUL, TFDL), "stock": (STOCK, STOCK)}


class Kills(Campaign):
    """Kills the process, or of several ranks one or all."""

    def interrupt(self, leg: Leg) -> dict[str, Any]:
        ranks = self.plan.ranks
        turn = len(self.interruptions) % (ranks + 1)
        rank = None if ranks == 1 or turn == ranks else turn
        is_one_rank = leg.kill(rank)
        return {"rank": rank if is_one_rank else None}


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Prints a row for each case, and returns them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=100, help="kills, over all cases")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--checkpoint-steps", type=int, default=10)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), metavar="CASE")
    parser.add_argument("--program", choices=list(PROGRAMS), default="tfdl")
    add_output_options(parser)
    options = parser.parse_args(arguments)
    program, straight = PROGRAMS[options.program]
    rows = []
    notes = {}
    with tempfile.TemporaryDirectory(prefix="tfdl-kills-") as name:
        for index, case in enumerate(options.cases):
            print(case, file=sys.stderr, flush=True)
            plan = Plan(case, options.seed, options.checkpoint_steps, options.ranks, program, straight)
            campaign = Kills(plan, Path(name) / str(index))
            share, rest = divmod(options.moments, len(options.cases))
            campaign.run(share + (index < rest))
            rows.append(campaign.row())
            notes[case] = {"plan": dataclasses.asdict(plan), "kills": campaign.interruptions, "runs": campaign.runs}
            notes[case]["failures"] = campaign.failures
    report(rows, notes, options)
    return rows


if __name__ == "__main__":
    main()
