"""Files in YAML, read with messages or read quickly."""

import pytest
import yaml

from tfdl.config import TrainConfig, load_yaml, load_yaml_quickly, to_yaml
from tfdl.config import yaml_files as module
from tfdl.errors import UserError

BAD = ["", "a: [1", "- 1\n", "a: 2020-99-99", "\ta: 1", "a: !!bool x", "a: !!int ''", "a: !!timestamp x"]


def test_both_ways_read_the_same(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(to_yaml(TrainConfig(label_smoothing=0.1)))
    assert load_yaml_quickly(path) == load_yaml(path)


@pytest.mark.parametrize("content", [*BAD, "- " * 100_000, "[" * 100_000])
def test_both_ways_have_the_same_message(tmp_path, content):
    """The last two would end the process in libyaml's loader."""
    path = tmp_path / "a.yaml"
    path.write_text(content)
    results = []
    for read in (load_yaml, load_yaml_quickly):
        try:
            results.append(read(path))
        except UserError as error:
            # Python's message about too many levels depends on where it noticed them.
            results.append(str(error).partition("recursion")[0])
    assert results[0] == results[1]


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"cannot read configuration .* expected a YAML file"):
        load_yaml_quickly(tmp_path / "a.yaml")


def test_libyaml_is_not_needed(tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n")
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert module.load_yaml_quickly(path) == {"a": 1}
