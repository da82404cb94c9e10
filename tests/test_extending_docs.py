"""Every block of docs/extending.md runs as it is."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfdl.cli.main import main

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> Iterator[tuple[str, str]]:
    """Each block's language and text, in the page's order."""
    for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        yield match[1], match[2]


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith("tfdl ")]


def test_the_page_has_a_section_and_a_module_for_each_kind_of_part():
    modules = {text.split("\n")[0] for language, text in blocks() if language == "python" and text.startswith("# my_")}
    kinds = ("model", "optimizer", "schedule", "augmentation", "data", "tokenizer", "task", "sampler", "format")
    assert modules == {f"# my_{kind}.py" for kind in kinds}


@pytest.mark.slow
@pytest.mark.usefixtures("own_registries")
def test_every_block_runs(tmp_path, monkeypatch, capsys):
    """Modules are written to files, commands are run where they stand, and Python is executed."""
    monkeypatch.chdir(tmp_path)
    later = []
    for language, text in blocks():
        if language == "python" and text.startswith("# my_"):
            name = text.split("\n")[0].removeprefix("# ")
            (tmp_path / name).write_text(text, encoding="utf-8")
            run(later, capsys)
            later = []
        elif language == "python":
            exec(compile(text, "docs/extending.md", "exec"), {"__name__": "block"})
        elif text.startswith("tfdl: error:"):
            check_message(text, capsys)
        elif not language:
            lines = commands(text)
            assert lines, text
            # The first commands stand before the module that they name.
            missing = [line for line in lines if not all((tmp_path / module).exists() for module in modules_of(line))]
            later += missing
            run([line for line in lines if line not in missing], capsys)
        else:
            assert language == "toml"
    assert later == []


def modules_of(command: list[str]) -> list[str]:
    return [f"{word.split(':')[0]}.py" for word in command if re.fullmatch(r"my_\w+(:\w+)?", word)]


def run(lines: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    for _, *arguments in lines:
        if arguments[0] == "train":
            arguments = in_two_steps(arguments)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        assert ended.value.code == 0, f"{arguments}: {captured.err}"


def in_two_steps(arguments: list[str]) -> list[str]:
    """The command of a training with another length, which shows as much of a part that the user declared."""
    for option in ("--epochs", "--steps"):
        if option in arguments:
            place = arguments.index(option)
            arguments = arguments[:place] + arguments[place + 2 :]
    return [*arguments, "--steps", "2"]


def check_message(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message that the page quotes is the one that is printed."""
    Path("needs.yaml").write_text("model: cnn\ntask: image-classification\nplugins: [my_model]\n", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["train", "--config", "needs.yaml"])
    assert ended.value.code == 2
    printed = capsys.readouterr().err.replace(" (in Python: import it first)", "")
    assert " ".join(printed.split()) == " ".join(text.split())
