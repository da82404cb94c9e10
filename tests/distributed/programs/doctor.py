"""Runs the doctor's proof with two different faults and prints its findings, as JSON. Then runs the doctor itself."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

from tfdl import distributed
from tfdl.cli.main import main as command
from tfdl.diagnosis.sync_proof import prove_sync
from tfdl.distributed import SingleWorld, World, reduce_gradients
from tfdl.distributed.fingerprints import Fingerprints


def proof(world: World) -> list[dict[str, str]]:
    return [asdict(finding) for finding in prove_sync(world)]


def unreduced(gradients: Sequence[Any], weight: Any, _: World, **options: Any) -> list[Any]:
    return reduce_gradients(gradients, weight, SingleWorld(), **options)


def main() -> None:
    world = distributed.init()
    findings = {}
    with patch("tfdl.training.trainer.reduce_gradients", unreduced):
        findings["every rank trains alone"] = proof(world)
    with patch.object(Fingerprints, "difference", lambda *_: None):
        findings["the comparison is blind"] = proof(world)
    if world.is_chief:
        print(json.dumps(findings), flush=True)
    command(["doctor"])


main()
