"""Exports are written by one rank."""

from tfdl.distributed import current_world
from tfdl.errors import UserError


def check_rank_zero(function: str) -> None:
    """Checks that this rank may write an export.

    Args:
        function: the public function's name.

    Raises:
        UserError: it is not rank 0.
    """
    world = current_world()
    if not world.is_chief:
        raise UserError(
            f"{function} on rank {world.rank} of {world.size}, expected rank 0 only, as all ranks would write"
            " one directory; call it under: if tfdl.distributed.current_world().is_chief:"
        )
