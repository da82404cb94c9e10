"""What a run reads of the configuration of the run whose weights it starts from."""

import pytest

from tfdl.config.initial_checkpoint import tokenizer_of


@pytest.mark.parametrize(
    ("section", "expected"),
    [("tokenizer: byte\n", "byte"), ("tokenizer:\n  name: bpe\n  vocab_size: 300\n", "bpe"), ("", None)],
)
def test_the_tokenizer_in_each_form_that_yaml_has_for_it(tmp_path, section, expected):
    text = f"model: transformer\ntask: language-modeling\n{section}"
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    assert tokenizer_of(tmp_path) == expected
