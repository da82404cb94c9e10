"""Fields of Transformers: values that do not fit together are refused."""

import pytest

from tfdl.config import TransformerConfig
from tfdl.errors import UserError


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"head_dim": 0}, r"model\.head_dim=0, expected a number of at least 1"),
        ({"head_dim": 5, "positions": "rotary"}, r"model\.head_dim=5, expected an even width for model\.positions=rot"),
        ({"rotary_base": 1.0}, r"model\.rotary_base=1\.0, expected a number above 1"),
        ({"rotary_scaling": "dynamic"}, r"model\.rotary_scaling='dynamic', expected one of none, linear, llama3, yarn"),
        ({"rotary_scaling_factor": 0.5}, r"model\.rotary_scaling_factor=0\.5, expected a number of at least 1"),
        (
            {"rotary_low_frequency_factor": 4.0},
            r"model\.rotary_high_frequency_factor=4\.0, expected a number above model\.rotary_low_",
        ),
        ({"sliding_window": 0}, r"model\.sliding_window=0, expected a number of at least 1"),
        (
            {"sliding_window": 9, "architecture": "encoder"},
            r"model\.sliding_window=9, expected none, except with model\.architecture=decoder",
        ),
        ({"num_segments": 2}, r"model\.num_segments=2, expected 0, except for texts with model\.architecture=encoder"),
        ({"separator_id": -1}, r"model\.separator_id=-1, expected a number of at least 0"),
    ],
)
def test_what_does_not_fit(fields, message):
    with pytest.raises(UserError, match=message):
        TransformerConfig(**fields)


def test_heads_of_another_width_than_the_model_s():
    config = TransformerConfig(hidden_dim=30, num_heads=4, head_dim=12)
    assert config.head_width == 12
    assert TransformerConfig(hidden_dim=32, num_heads=4).head_width == 8
