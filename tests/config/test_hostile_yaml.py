"""YAML that is valid and would cost more than its file, or that says one thing twice: one line, with libyaml or not."""

import time

import pytest
import yaml

from tfdl.config import compose, load_yaml
from tfdl.config.sources import assignment
from tfdl.config.yaml_files import MOST_BYTES
from tfdl.config.yaml_nodes import MOST_VALUES
from tfdl.errors import UserError


def laughs(levels, copies):
    """The billion laughs: each line has the one before several times."""
    lines = ["- &a0 [ha, ha]"]
    for level in range(1, levels):
        lines.append(f"- &a{level} [{', '.join([f'*a{level - 1}'] * copies)}]")
    return "\n".join(lines)


def merges(levels):
    lines = ["m0: &m0 {a: 1}"]
    lines += [f"m{level}: &m{level} {{<<: [*m{level - 1}, *m{level - 1}]}}" for level in range(1, levels)]
    return "\n".join(lines)


@pytest.fixture(params=["libyaml", "python"])
def read(request, tmp_path, monkeypatch):
    if request.param == "python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)

    def load(text):
        path = tmp_path / "a.yaml"
        path.write_text(text)
        return load_yaml(path)

    return load


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 1\nseed: 2\nepochs: 3\n", "a.yaml has the key 'epochs' twice in line 3, expected each key once"),
        ("model: {units: 3, name: cnn, units: 4}", "a.yaml has the key 'units' twice in line 1"),
        ("a: {<<: {b: 1}, <<: {c: 1}}", "has the key '<<' twice in line 1"),
        ("units:\n" + laughs(12, 9), "has more than 20,000 values in line "),
        (merges(30), "has more than 20,000 values"),
        ("epochs: &a [*a]", "a.yaml has a value that contains itself in line 1"),
        ("model: &a {name: cnn, units: {x: *a}}", "has a value that contains itself"),
        ("epochs: 0x" + "f" * 5000, "has a number of 5,002 characters in line 1"),
        ("epochs: " + ":".join(["1"] * 50_000), "has a number of 99,999 characters"),
        ("epochs: " + "1" * 5000, "has a number of 5,000 characters"),
        ("a: " + "x" * MOST_BYTES, f"has more than {MOST_BYTES:,} bytes, expected a configuration"),
        ("a: [" + "1," * (MOST_VALUES + 1) + "]", "has more than 20,000 values"),
    ],
)
def test_one_line_and_soon(read, text, message):
    begin = time.monotonic()
    with pytest.raises(UserError) as caught:
        read(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.monotonic() - begin < 10


def test_what_costs_no_more_than_it_says_is_read(read):
    """The control: aliases and merges in moderation, a key that a merge has too, and many values."""
    values = read(
        "base: &b {units: 1, name: cnn}\nmodel: {<<: *b, units: 2}\nother: [*b, *b]\nmany: [" + "1," * 5000 + "]"
    )
    assert values["model"] == {"units": 2, "name": "cnn"}
    assert values["other"] == [values["base"]] * 2
    assert len(values["many"]) == 5000


def test_set_is_read_in_the_same_way():
    with pytest.raises(UserError, match=r"--set model has the key 'a' twice in line 1"):
        assignment("model={a: 1, a: 2}")


@pytest.mark.parametrize("value", [10**400, -(2**63) - 1, 2**5000, 1e300], ids=["10^400", "-2^63-1", "2^5000", "1e300"])
def test_whole_numbers_have_at_most_64_bits(value):
    with pytest.raises(UserError, match=r"epochs=a whole number of [\d,]+ bits, expected a whole number of at most 64"):
        compose({"epochs": value})


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(UserError, match=r"^seed='x{299}\.\.\., expected a whole number$"):
        compose({"seed": "x" * 100_000})


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch hacked']",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
        "!own x",
    ],
)
def test_tags_of_python_are_refused(read, tag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="is not valid YAML: could not determine a constructor for the tag"):
        read(f"epochs: {tag}")
    assert not (tmp_path / "hacked").exists()
