"""No file of an export, in any format, tells where and by whom it was made."""

import getpass
import io
import os
import platform
import socket
import tempfile
import zipfile

import numpy as np
import pytest
from PIL import Image

import tfdl
from tests.export.places import places_in
from tests.interop import published
from tfdl.config import EXPORT_FORMATS, ExportRequest, compose
from tfdl.export import cost
from tfdl.export.huggingface import comparison
from tfdl.interop import import_model
from tfdl.runs import RunDirectory

# Of the machine on which the exports are made. Each is long, and nothing else has it.
USER = "invented-user"
HOST = "invented-host"
HOME = "invented-home"
TEMPORARY = "invented-temporary"
WORK = "invented-work"
RUNS = "invented-runs"
DATA = "invented-data"
MODELS = "invented-models"
TARGET = "invented-target"
INVENTED = (USER, HOST, HOME, TEMPORARY, WORK, RUNS, DATA, MODELS, TARGET)
SMALL = {"num_layers": 1, "hidden_dim": 16, "num_heads": 2}
PRECISIONS = [(name, precision) for name in EXPORT_FORMATS.names for precision in EXPORT_FORMATS[name].precisions]


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A folder, and a process of another user in it, on another host."""
    folder = tmp_path_factory.mktemp("machine")
    for name in (HOME, TEMPORARY, WORK):
        (folder / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("USER", "LOGNAME", "USERNAME"):
            patch.setenv(variable, USER)
        patch.setenv("HOME", str(folder / HOME))
        patch.setenv("TMPDIR", str(folder / TEMPORARY))
        patch.setenv("HOSTNAME", HOST)
        patch.setattr(tempfile, "tempdir", None)  # TMPDIR is read again
        patch.setattr(socket, "gethostname", lambda: HOST)
        patch.setattr(platform, "node", lambda: HOST)
        patch.chdir(folder / WORK)
        yield folder


def test_the_machine_is_as_it_seems(machine):
    assert (getpass.getuser(), socket.gethostname(), platform.node()) == (USER, HOST, HOST)
    assert tempfile.gettempdir() == str(machine / TEMPORARY)
    assert os.path.expanduser("~") == str(machine / HOME)


@pytest.fixture(scope="module")
def images(machine):
    """A ViT with updates of low rank, trained on the user's images: all formats have it."""
    generator = np.random.default_rng(0)
    for number in range(40):
        folder = machine / DATA / "photos" / ("cat", "dog")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number}.png")
    fields = {"dataset": str(machine / DATA / "photos"), "steps": 1, "epochs": None, "batch_size": 8}
    vit = {"name": "transformer", "architecture": "encoder", "patch_size": 4, "pooling": "first", **SMALL}
    base = tfdl.train(compose({**fields, "task": "image-classification", "model": vit}), machine / RUNS / "base")
    tuned = {**fields, "initial_checkpoint": str(base.path), "model": {"lora_rank": 2}}
    return tfdl.train(compose(tuned), machine / RUNS / "images")


@pytest.fixture(scope="module")
def language(machine):
    """A published language model, fine-tuned with updates of low rank on the user's texts."""
    end = {"eos_token": "<|endoftext|>"}
    files = machine / MODELS / "gpt2"
    published.save_language_model(files, published.gpt2(), published.byte_level(), **end)
    base = import_model(files, machine / RUNS / "imported").run
    texts = machine / DATA / "texts.txt"
    texts.parent.mkdir(exist_ok=True)
    texts.write_text("".join(f"hello world number {number}\n\n" for number in range(100)), encoding="utf-8")
    fields = {"dataset": str(texts), "steps": 1, "epochs": None, "batch_size": 4, "model": {"lora_rank": 2}}
    return tfdl.train(compose({**fields, "initial_checkpoint": str(base.path)}), machine / RUNS / "language")


@pytest.fixture
def export(machine, monkeypatch, quickly):  # noqa: ARG001
    """``export(run, format, precision)``: the contents of all files of an export, by name."""
    monkeypatch.setattr(cost.Cost, "check", lambda *_: None)  # the run has learned nothing that it could lose
    monkeypatch.setattr(comparison, "find_spec", lambda _: None)

    def write(run, format_name, precision):
        target = machine / TARGET / f"{run.path.name}-{format_name}-{precision}"
        EXPORT_FORMATS.load(format_name)(ExportRequest(run.path, target, "last", False, precision))
        return contents_of(target)

    return write


def contents_of(folder):
    """The bytes of all files, also of those within archives."""
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name, data in list(contents.items()):
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                contents |= {f"{name}/{member}": archive.read(member) for member in archive.namelist()}
    return contents


def found_in(contents, run, machine):
    # The folder of all tests is above every path of the machine.
    return places_in(contents, run, (*INVENTED, machine.name, machine.parent.parent.name))


@pytest.mark.parametrize(("format_name", "precision"), PRECISIONS, ids=lambda value: value)
def test_images(export, images, machine, format_name, precision):
    contents = export(images, format_name, precision)
    assert any(b"cat" in data for data in contents.values())
    assert found_in(contents, images, machine) == []


@pytest.mark.parametrize("format_name", ["saved_model", "keras", "huggingface", "lora"])
def test_language(export, language, machine, format_name):
    contents = export(language, format_name, "float32")
    assert any(b"hello" in data for data in contents.values())
    assert found_in(contents, language, machine) == []


# The search itself


def test_it_finds_every_place_in_a_run(images, language, machine):
    """A run, which is not for others, has the paths of its data and of its base."""
    for run, expected in ((images, {RUNS, DATA}), (language, {RUNS, DATA, MODELS})):
        found = found_in(contents_of(run.path), run, machine)
        assert expected <= {name for _, name in found}
        assert {file for file, _ in found} >= {"config.yaml", "assets/initial_checkpoint.json"}


@pytest.mark.parametrize("name", INVENTED)
def test_it_finds_each_name(machine, images, name):
    folder = machine / "planted" / name
    folder.mkdir(parents=True)
    (folder / "plain.bin").write_bytes(b"\0" + name.encode() + b"\0")
    with zipfile.ZipFile(folder / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", f"made by {name} " * 9)
    found = places_in(contents_of(folder), RunDirectory(images.path), INVENTED)
    assert found == [("plain.bin", name), ("model.keras/config.json", name)]


def test_short_names_count_as_words_of_texts(images, monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: "me")
    monkeypatch.setattr(socket, "gethostname", lambda: "vm")
    contents = {"a.json": b'{"user": "me"}', "b.txt": b"/home/me/x some vm-1", "c.txt": b"same", "d.bin": b"\0 me vm"}
    assert places_in(contents, images) == [("a.json", "me"), ("b.txt", "me"), ("b.txt", "vm")]
