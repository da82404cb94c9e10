"""Every command and every block of Python of the README runs, on inputs that have the names which it uses.

Most trainings are cut to two steps.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from tests.distributed.launching import launch
from tfdl.cli.main import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
# What sets up the machine on which the tests run. CI runs these.
SET_UP = ("make", "pip", "tfdl install-horovod")
# Runs that the tour uses before it makes them, and how they are made.
EARLIER_RUNS = {
    "runs/other": "tfdl train --dataset cifar10 --image-size 24",
    "runs/gpt": "tfdl train --model transformer",
    "runs/topics": "tfdl train --task text-classification",
}
TOLD_IN_FULL = "runs/cifar"
# Two ranks show what the four of the README would.
MOST_RANKS = 2
# After two steps a translator writes the longest translations, so it writes few.
FEW_TRANSLATIONS = ("--set", "dataset.validation_split=validation[:20]", "--set", "dataset.test_split=test[:20]")

Blocks = list[tuple[str, str]]


def blocks() -> Blocks:
    """The blocks without an output: their language, and their text."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
    return [(language, text) for language, text in found if language or commands(text)]


def commands(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if re.match(r"(tfdl|horovodrun|make|pip|curl) ", line)]
    return [shlex.split(line, comments=True) for line in lines if not line.startswith("tfdl 0.")]


def commands_of_tour() -> list[list[str]]:
    """Each command once, in the README's order."""
    found = [command for language, text in blocks() if not language for command in commands(text)]
    return [command for number, command in enumerate(found) if command not in found[:number]]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """A folder with the inputs that the README names."""
    folder = tmp_path_factory.mktemp("tour")
    save_cifar10(data_dir)
    save_images(folder)
    (folder / "pairs.tsv").write_text(
        "de\ten\n" + "".join(f"{n} Tage\t{n} days\n" for n in range(100)), encoding="utf-8"
    )
    (folder / "my_texts.txt").write_text(
        "".join(f"The capital of country {n} is city {n}.\n\n" for n in range(300)), encoding="utf-8"
    )
    return folder


@pytest.fixture
def in_workshop(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)


def save_cifar10(data_dir: Path) -> None:
    """A prepared data set with CIFAR-10's name, features and kind of files. Its own are 170 MB of a download."""
    if (data_dir / "cifar10").exists():
        return  # tests of other files have run between those of this one
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "id": tfds.features.Text(),
            "image": tfds.features.Image(shape=(32, 32, 3)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
    )

    def examples(count: int) -> list[tuple[int, dict[str, Any]]]:
        images = pictures(count, 32)
        return [(n, {"id": f"{n}", "image": image, "label": n % 10}) for n, image in enumerate(images)]

    tfds.dataset_builders.store_as_tfds_dataset(
        name="cifar10",
        version="3.0.2",
        features=features,
        split_datasets={"train": examples(160), "test": examples(20)},
        data_dir=str(data_dir),
    )


def save_images(folder: Path) -> None:
    """``photos`` and ``new``: folders; ``photos.parquet``: a table; ``photo.jpg`` and ``scan.png``."""
    import pyarrow
    from pyarrow import parquet

    rows = []
    for label in ("cats", "dogs"):
        (folder / "photos" / label).mkdir(parents=True)
        for number, pixels in enumerate(pictures(60, 72)):
            path = folder / "photos" / label / f"{number}.jpg"
            Image.fromarray(pixels).save(path)
            rows.append({"image": {"bytes": path.read_bytes(), "path": path.name}, "label": label})
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "photos.parquet")
    (folder / "new").mkdir()
    for number, pixels in enumerate(pictures(3, 32)):
        Image.fromarray(pixels).save(folder / "new" / f"{number}.png")
    Image.fromarray(pictures(1, 48)[0]).save(folder / "photo.jpg")
    Image.fromarray(pictures(1, 8)[0][:, :, 0]).save(folder / "scan.png")


def pictures(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(side).integers(0, 256, (count, side, side, 3), np.uint8)


def save_smollm2(folder: Path) -> None:
    """A small Llama in the folder that has the name of SmolLM2 on the hub. A folder is looked for first."""
    pytest.importorskip("transformers")
    pytest.importorskip("torch")
    from tests.interop import published

    files = folder / "HuggingFaceTB" / "SmolLM2-135M"
    if not files.exists():
        published.save_language_model(files, published.llama(), published.byte_level(), eos_token="<|endoftext|>")


def shortened(command: Sequence[str]) -> list[str]:
    """A training takes two steps after its warm-up, but for the run that the tour shows from beginning to end."""
    if "train" not in command or TOLD_IN_FULL in command:
        return list(command)
    warmup = int(command[command.index("--warmup-steps") + 1]) if "--warmup-steps" in command else 0
    few = FEW_TRANSLATIONS if list(command[-2:]) == ["--task", "translation"] else ()
    return [*command, "--steps", str(warmup + 2), *few]


def kept(command: list[str]) -> list[str]:
    """The command itself, or where it is that of a run which the tour uses later, with the run's name."""
    for name, made in EARLIER_RUNS.items():
        if command == shlex.split(made) and not Path(name).exists():
            return [*command, "--output", name]
    return command


def execute(command: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Runs a command, and those that make the runs which it needs."""
    for name in set(command) & set(EARLIER_RUNS):
        if not Path(name).exists() and "--output" not in command:
            execute([*shlex.split(EARLIER_RUNS[name]), "--output", name], capsys)
    if "HuggingFaceTB/SmolLM2-135M" in command:
        save_smollm2(Path.cwd())
    program, *arguments = shortened(command)
    if program == "curl":
        answer = subprocess.run([program, "--fail", "--silent", *arguments], capture_output=True, text=True, check=True)
        assert len(json.loads(answer.stdout)["predictions"]) == 1
        return
    if program == "horovodrun":
        option, count, *rest = arguments
        assert option == "-np"
        job = launch(min(int(count), MOST_RANKS), *rest, cwd=Path.cwd())
        assert job.code == 0, job.output
        return
    assert program == "tfdl"
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    assert ended.value.code == 0, f"{command}: {captured.err}"


@pytest.fixture(scope="module")
def servers() -> Iterator[list[subprocess.Popen[str]]]:
    """Servers that the tour has started. They end after the last command."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for server in started:
        server.terminate()
        output, _ = server.communicate(timeout=60)
        assert server.returncode == 0, output


def start_server(arguments: Sequence[str]) -> subprocess.Popen[str]:
    """A server that answers."""
    command = [sys.executable, "-u", "-m", "tfdl", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert server.stdout is not None
    lines = []
    for line in server.stdout:
        lines.append(line)
        if line.startswith("listening at"):
            return server
    raise AssertionError("".join(lines))


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.usefixtures("in_workshop")
@pytest.mark.parametrize(
    "command", [c for c in commands_of_tour() if not shlex.join(c).startswith(SET_UP)], ids=shlex.join
)
def test_every_command_runs(
    command: list[str], capsys: pytest.CaptureFixture[str], servers: list[subprocess.Popen[str]]
) -> None:
    """In the README's order: later commands use what earlier ones made."""
    if command[0] == "curl" and shutil.which("curl") is None:
        pytest.skip("no curl")
    if command[:2] == ["tfdl", "serve"]:
        servers.append(start_server(command[1:]))
    else:
        execute(kept(command), capsys)


@pytest.mark.slow
@pytest.mark.distributed
@pytest.mark.usefixtures("in_workshop")
def test_a_saved_model_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """The block that needs TensorFlow alone, on the export that the commands before have made."""
    (text,) = [text for language, text in blocks() if language == "python" and "saved_model.load" in text]
    exec(compile(text, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"new/{number}.png" for number in range(3)]


def test_the_tour_has_the_commands_that_people_need() -> None:
    """The control of how commands are found."""
    found = [" ".join(command) for command in commands_of_tour()]
    for start in (
        "make test",
        "horovodrun -np 4 tfdl train",
        "tfdl predict",
        "tfdl generate",
        "tfdl import",
        "tfdl serve",
        "tfdl report",
        "curl",
    ):
        assert any(command.startswith(start) for command in found), start
    assert not any("#" in command for command in found)


@pytest.mark.slow
@pytest.mark.usefixtures("in_workshop")
def test_python_runs() -> None:
    """All blocks in one program, as a reader types them. The block of a script on ranks has its own tests."""
    inputs = keras.Input([4])
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    x = np.random.default_rng(0).normal(size=(128, 4)).astype(np.float32)
    y = (x.sum(1) > 0).astype(np.int64)
    program = {"model": model, "x": x, "y": y, "x2": x[:32], "y2": y[:32]}
    others = ("distributed.init", "saved_model.load")
    texts = [text for language, text in blocks() if language == "python" and not any(word in text for word in others)]
    assert len(texts) == 2
    first, second = texts
    exec(compile(first, "README.md", "exec"), program)
    assert program["gpt"].count_params() > 120_000_000
    program["model"] = model
    exec(compile(second, "README.md", "exec"), program)
    assert Path("runs/own/summary.json").is_file()
