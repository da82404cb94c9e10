"""Test accuracy of the default run for several seeds, on one rank and on two: the table of the README.

    python benchmarks/accuracy.py --seeds 5 --ranks 1 2
    python benchmarks/accuracy.py --seeds 3 --ranks 1 -- --model resnet20 --dataset fashion_mnist --epochs 12

Each cell is one real command, `tfdl train --seed S` or `horovodrun -np N tfdl train --seed S`, with what stands behind
`--`; runs go to a temporary folder. Prints a Markdown table, with the time of the whole command.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run(arguments: list[str], seed: int, ranks: int, folder: Path) -> tuple[float, float]:
    """Test accuracy and seconds of one command."""
    output = folder / f"seed{seed}-np{ranks}"
    train = ["tfdl", "train", *arguments, "--seed", str(seed), "--output", str(output)]
    command = train if ranks == 1 else ["horovodrun", "-np", str(ranks), *train]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    begin = time.perf_counter()
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads((output / "summary.json").read_text())["test"]["accuracy"], time.perf_counter() - begin


def main() -> None:
    """Runs every cell and prints the table row by row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to N - 1")
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("train", nargs="*", help="after --: options of `tfdl train`")
    options = parser.parse_args()
    print("| ranks | " + " | ".join(f"seed {seed}" for seed in range(options.seeds)) + " | seconds a run |")
    print("| --- " * (options.seeds + 2) + "|")
    with tempfile.TemporaryDirectory(prefix="tfdl-accuracy-") as folder:
        for ranks in options.ranks:
            cells = [run(options.train, seed, ranks, Path(folder)) for seed in range(options.seeds)]
            seconds = sorted(taken for _, taken in cells)
            shown = " | ".join(f"{accuracy:.4f}" for accuracy, _ in cells)
            print(f"| {ranks} | {shown} | {seconds[0]:.0f} to {seconds[-1]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
