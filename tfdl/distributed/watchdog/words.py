"""A verdict in words."""

from collections.abc import Mapping, Sequence

from tfdl.distributed.watchdog.decision import Sighting, Verdict


def sentence(verdict: Verdict, hosts: Sequence[str], seen: Mapping[int, Sighting]) -> str:
    """One line that names the ranks, what they did and what was last heard of them; ``rank 1: error: ...``.

    Args:
        verdict: the verdict.
        hosts: the host of each rank.
        seen: what was known of the ranks when it was given.
    """
    if verdict.kind == "stuck":
        return (
            f"error: {_ranks(verdict.waiting)} waited in a collective for {verdict.seconds:.0f} s and nothing moved"
            f" (last step {max(s.report.step for s in seen.values())}): do all ranks make the same calls in the same"
            " order, and does the network carry large messages?"
        )
    if not verdict.ranks:
        return verdict.line
    first = verdict.ranks[0]
    subject, report = f"{_ranks(verdict.ranks)}: ", seen[first].report
    if verdict.kind in ("failed", "broken"):
        return subject + verdict.line
    where = f"(on {', '.join(dict.fromkeys(hosts[rank] for rank in verdict.ranks))}, last step {report.step})"
    if verdict.kind == "died":
        return f"{subject}error: ended without a word {where}: killed, perhaps for want of memory"
    if verdict.kind == "left":
        return f"{subject}error: left the job {where} while others went on: its program came to its end there"
    if verdict.kind == "silent":
        causes = "stopped, cut off from the network, or its host is down"
        return f"{subject}error: no sign of life for {verdict.seconds:.0f} s {where}: {causes}"
    doing = f"busy {report.doing}" if report.doing else "hangs"
    return (
        f"{subject}error: {doing} {where}: {_ranks(verdict.waiting)} waited for it in a collective for"
        f" {verdict.seconds:.0f} s; a rank that may take so long says so with tfdl.distributed.long_work, or the"
        " watchdog's timeout must be longer"
    )


def _ranks(ranks: Sequence[int]) -> str:
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    if len(ranks) > 8:
        return f"ranks {', '.join(map(str, ranks[:7]))} and {len(ranks) - 7} more"
    return f"ranks {', '.join(map(str, ranks[:-1]))} and {ranks[-1]}"
