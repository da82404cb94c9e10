"""Whether the ranks of a run write its checkpoints together."""

import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from tfdl.distributed import World
from tfdl.errors import UserError
from tfdl.runs.variables import num_bytes

# In the automatic mode, smaller checkpoints are written by rank 0 alone: in a second or two.
_LARGE = 2**30


def are_shared(
    choice: Literal["auto", "on", "off"], folder: Path, variables: Sequence[Any], world: World
) -> tuple[bool, str]:
    """Decides whether each rank writes a shard; called on every rank.

    Args:
        choice: of the configuration. ``auto`` shares checkpoints of 1 GiB and more, if all ranks see the folder.
        folder: the run's folder of checkpoints.
        variables: what a checkpoint has.
        world: the ranks.

    Returns:
        The decision, and a line that says why a large checkpoint is not shared.

    Raises:
        UserError: the choice is ``on``, and a rank does not see the folder, or cannot write to it.
    """
    size = sum(num_bytes(variable) for variable in variables)
    if choice == "off" or world.size == 1 or (choice == "auto" and size < _LARGE):
        return False, ""
    ranks = _ranks_outside(folder, world)
    if not ranks:
        return True, ""
    names = ", ".join(map(str, ranks))
    fault = f"{'rank' if len(ranks) == 1 else 'ranks'} {names} cannot write to {str(folder)!r} of rank 0's host"
    if choice == "on":
        with world.agreement():
            raise UserError(f"checkpoint_shards=on, but {fault}; use a folder that all hosts share, or off")
    return False, f"rank 0 writes the checkpoints of {size / 2**30:.1f} GiB alone: {fault}"


def _ranks_outside(folder: Path, world: World) -> list[int]:
    """The ranks whose files rank 0 does not see in the folder, or that cannot write there."""
    token = world.broadcast_object(secrets.token_urlsafe(6))
    trial = folder / f".step-trial.{token}"  # removed with unfinished checkpoints if this process is killed
    if world.is_chief:
        with suppress(OSError):
            trial.mkdir(parents=True)
    world.barrier()
    with suppress(OSError):
        (trial / str(world.rank)).touch()
    world.barrier()
    outside = [rank for rank in range(world.size) if not (trial / str(rank)).exists()]
    shared: list[int] = world.broadcast_object(outside)
    if world.is_chief:
        shutil.rmtree(trial, ignore_errors=True)
    return shared
