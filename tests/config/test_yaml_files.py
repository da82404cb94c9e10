"""Files in YAML, read by libyaml where it is installed, and otherwise by Python."""

import pytest
import yaml

from tfdl.config import TrainConfig, load_yaml, to_yaml
from tfdl.errors import UserError

BAD = ["", "a: [1", "- 1\n", "a: 2020-99-99", "\ta: 1", "a: !!bool x", "a: !!int ''", "a: !!timestamp x"]


@pytest.fixture
def both_ways(tmp_path):
    """``both_ways(text)``: what a file with this text gives, or its message; with libyaml and without."""

    def read(text):
        path = tmp_path / "a.yaml"
        path.write_text(text)
        results = []
        for is_installed in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                if not is_installed:
                    patch.delattr(yaml, "CSafeLoader")
                try:
                    results.append(load_yaml(path))
                except UserError as error:
                    # Python's message about too many levels depends on where it noticed them.
                    results.append(str(error).partition("recursion")[0])
        return results

    return read


def test_both_ways_read_the_same(both_ways):
    quick, slow = both_ways(to_yaml(TrainConfig(label_smoothing=0.1)))
    assert quick == slow
    assert quick["label_smoothing"] == 0.1


@pytest.mark.parametrize("content", [*BAD, "- " * 100_000, "[" * 100_000])
def test_both_ways_have_the_same_message(both_ways, content):
    """The last two would end the process in libyaml's loader."""
    quick, slow = both_ways(content)
    assert quick == slow
    if content:
        assert "a.yaml" in quick


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"cannot read configuration .* expected a YAML file"):
        load_yaml(tmp_path / "a.yaml")
