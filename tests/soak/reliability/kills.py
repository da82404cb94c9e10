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
from typing import Any

from tests.soak.reliability.campaigns import FORGETFUL, STOCK, Campaign, add_campaign_options, run_campaigns
from tests.soak.reliability.cases import CASES
from tests.soak.reliability.jobs import TFDL, Leg

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
    add_campaign_options(parser, 100, 10, list(CASES), list(PROGRAMS))
    options = parser.parse_args(arguments)
    return run_campaigns(Kills, *PROGRAMS[options.program], options)


if __name__ == "__main__":
    main()
