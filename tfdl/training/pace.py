"""How often a run writes what would otherwise grow with its length."""


class Pace:
    """Spreads a number of events evenly over the steps of a run.

    An event is due at the first step that is asked about, at the first one in each part of the run, and at the end.

    Args:
        total_steps: of the run.
        most: the number of parts. At most two events more are due.
    """

    def __init__(self, total_steps: int, most: int):
        self._total_steps = total_steps
        self._part_steps = -(-total_steps // most)  # rounded up
        self._part: int | None = None

    def is_due(self, step: int) -> bool:
        """Whether to do it now; the answer counts as done.

        Args:
            step: optimizer steps that are done.
        """
        part = step // self._part_steps
        is_due = part != self._part or step >= self._total_steps
        self._part = part
        return is_due
