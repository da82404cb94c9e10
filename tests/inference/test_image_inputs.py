"""Images from files, folders, patterns, tables and records, decoded as in training."""

import io
from types import SimpleNamespace

import numpy as np
import pyarrow
import pytest
from PIL import Image, features
from pyarrow import parquet

from tests.data.files.encoded_images import KINDS, shown
from tfdl.data.files.image_rules import image_rules, look_as_shown
from tfdl.data.images import CURRENT_RULES
from tfdl.errors import UserError
from tfdl.inference import InputOptions, open_inputs
from tfdl.inference.inputs.images import image_loader
from tfdl.inference.items import BadItem

HAS_AVIF = "AVIF" in Image.registered_extensions().values() and features.check("avif")
KINDS_HERE = [name for name in KINDS if HAS_AVIF or not name.startswith("avif")]


def png(value, size=(8, 8), mode="RGB"):
    file = io.BytesIO()
    Image.new(mode, size, value).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three images, one of them in a folder within, and two other files."""
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name, value in {"b.png": "blue", "a.PNG": "red", "more/c.png": "green"}.items():
        (tmp_path / "photos" / name).write_bytes(png(value))
    (tmp_path / "photos" / "notes.txt").write_text("x")
    (tmp_path / "photos" / ".hidden.png").write_bytes(png("black"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(setting, *arguments, **options):
    inputs = open_inputs(setting[0], arguments, InputOptions(**options))
    return [
        item
        if isinstance(item, BadItem)
        else SimpleNamespace(name=item.name, kept=item.kept, **inputs.load(item.values))
        for item in inputs.items
    ]


def colours(items):
    return [tuple(item.image[0, 0].tolist()) for item in items]


RED, GREEN, BLUE = (255, 0, 0), (0, 128, 0), (0, 0, 255)


@pytest.mark.parametrize("name", KINDS_HERE)
def test_every_kind_of_file_is_read_as_in_training(name):
    data = KINDS[name][0]()
    channels = look_as_shown(data).shape[2]
    rules = image_rules(CURRENT_RULES)
    tolerance = 4 if name.startswith("jpeg") else 0
    for wanted in {channels, 3}:
        received = rules.read(data, wanted)
        assert received.dtype == np.uint8
        assert np.abs(received.astype(int) - shown(data, wanted)).max() <= tolerance
        if wanted == channels:
            (image,) = image_loader(CURRENT_RULES, channels)({"image": data}).values()
            np.testing.assert_array_equal(image, received)


@pytest.mark.usefixtures("folder")
def test_files_folders_and_patterns(photos):
    found = opened(photos, "photos/b.png", "photos", "photos/*.png", "photos/**/c.png")
    names = ["photos/b.png", "photos/a.PNG", "photos/b.png", "photos/more/c.png", "photos/b.png", "photos/more/c.png"]
    assert [item.name for item in found] == names
    assert colours(found) == [BLUE, RED, BLUE, GREEN, BLUE, GREEN]


def test_a_table_of_paths(photos, folder):
    (folder / "photos" / "list.csv").write_text("id,file,who\n1,a.PNG,Ann\n2,gone.png,Bob\n3,more/c.png,Eve\n4,,Joe\n")
    first, missing, second, blank = opened(photos, "photos/list.csv", kept=("who", "id"))
    assert colours([first, second]) == [RED, GREEN]
    assert first.name == "photos/list.csv line 2"
    assert first.kept == {"who": "Ann", "id": "1"}
    assert str(missing) == "photos/list.csv line 3: no such file: photos/gone.png"
    assert str(blank) == "photos/list.csv line 5: no 'file' in it"


def test_images_within_parquet(photos, folder):
    rows = {"image": [png("red"), None, png("blue")], "id": [7, 8, 9]}
    parquet.write_table(pyarrow.table(rows), folder / "rows.parquet")
    first, missing, second = opened(photos, "rows.parquet", kept=("id",))
    assert colours([first, second]) == [RED, BLUE]
    assert (first.name, first.kept) == ("rows.parquet row 1", {"id": "7"})
    assert str(missing) == "rows.parquet row 2: no 'image' in it"


@pytest.mark.usefixtures("folder")
def test_paths_on_standard_input(photos, monkeypatch):
    lines = io.TextIOWrapper(io.BytesIO(b"photos/a.PNG\n\nphotos/gone.png\nphotos/b.png\r\n"))
    monkeypatch.setattr("sys.stdin", lines)
    first, missing, second = opened(photos, "-")
    assert colours([first, second]) == [RED, BLUE]
    assert str(missing) == "standard input line 3: no such file: photos/gone.png"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (["gone.png"], {}, "no such file or folder: 'gone.png', expected images, folders or tables"),
        (["photos/a.PNG", "gone/*.png"], {}, r"no file matches 'gone/\*.png', expected the pattern of existing images"),
        (["empty"], {}, "empty has no images, expected images, folders or tables with images of JPEG, PNG"),
        (["photos"], {"kept": ("id",)}, "photos is a folder of images, which has no columns; leave them out"),
        (["list.csv"], {"kept": ("idd",)}, "--keep-column 'idd', but list.csv has the columns id, file. Did you mean"),
        (["list.csv"], {"column": "fil"}, "--image-column 'fil' .* is none of id, file"),
        (["words.csv"], {}, "words.csv has no images"),
    ],
)
def test_what_holds_no_images_ends_before_the_first_answer(photos, folder, arguments, options, message):
    (folder / "empty").mkdir()
    (folder / "list.csv").write_text("id,file\n1,photos/a.PNG\n")
    (folder / "words.csv").write_text("id,word\n1,red\n")
    with pytest.raises(UserError, match=message):
        open_inputs(photos[0], arguments, InputOptions(**options))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty file, expected an image"),
        (b"text", r"not an image that can be read \(none of"),
        (png("red")[:-30], r"not an image that can be read \("),
        (png("red"), "an image with colours, expected one in shades of grey, as the run was trained on"),
        (png(7, (9, 5), "L"), "an image of 9x5 pixels, expected 8x8: the run was trained without --image-size"),
    ],
    ids=["empty", "text", "cut", "colours", "size"],
)
def test_images_that_cannot_be_used(scans, tmp_path, answers, data, message):
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(UserError, match=f"1 bad input: .*x.png: {message}"):
        answers(scans, tmp_path / "x.png")


def test_grey_in_three_channels_is_grey(scans, answers):
    assert answers(scans, png((7, 7, 7))) == answers(scans, png(7, mode="L"))
    assert answers(scans, np.full((8, 8, 1), 7, np.uint8)) == answers(scans, png(7, mode="L"))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8, 3), np.float32), "an image of float32, expected uint8, from 0 to 255"),
        (np.zeros((8, 8, 4), np.uint8), r"an image of the shape \(8, 8, 4\), expected \(height, width, 3\)"),
        (np.zeros((0, 8, 3), np.uint8), r"an image of the shape \(0, 8, 3\)"),
        ({"a": 1}, r"an image of object|type dict"),
    ],
)
def test_arrays_that_are_no_images(photos, answers, image, message):
    with pytest.raises(UserError, match=message):
        answers(photos, [image])
