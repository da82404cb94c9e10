"""Which ranks take part in a run, and what happens when they change."""


class Membership:
    """Ranks that stay the same: losing one ends the run. An elastic run has ``ElasticMembership``."""

    longest_execution: float = float("inf")
    """Most steps in one graph call."""
    note: str = ""
    """How the ranks have changed since the run began, for whoever shows the run."""

    def wants_change(self) -> bool:
        """Whether this rank wants the ranks to meet again, since hosts were added or removed."""
        return False

    def after_steps(self, wishes: float) -> None:
        """Some steps are done, within an epoch.

        Args:
            wishes: how many ranks want a change.
        """

    def after_epoch(self, wishes: float) -> None:
        """An epoch is done, validated and saved.

        Args:
            wishes: how many ranks want a change.
        """
