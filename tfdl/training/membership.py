"""The ranks of a run, and what happens when they change."""


class Membership:
    """Ranks that never change: a lost rank ends the run. An elastic run has ``ElasticMembership``."""

    longest_execution: float = float("inf")
    """The most steps in one graph call."""
    note: str = ""
    """How the ranks have changed since the run began, to be printed; empty if they have not."""

    def wants_change(self) -> bool:
        """Whether this rank asks the ranks to meet again, because hosts were added or removed."""
        return False

    def after_steps(self, change_requests: float) -> None:
        """Called after some steps, within an epoch.

        Args:
            change_requests: the number of ranks that ask for a change.
        """

    def after_epoch(self, change_requests: float) -> None:
        """Called when an epoch is done, validated and saved.

        Args:
            change_requests: the number of ranks that ask for a change.
        """
