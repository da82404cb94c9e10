"""Puts the real World through its contract."""

from tests.distributed.world_contract import check_world
from tfdl import distributed

check_world(distributed.init())
print("done", flush=True)
