"""Options of other programs lead to ours."""

import click
import pytest

from tfdl.cli import other_names
from tfdl.cli.main import main
from tfdl.cli.train import command as train


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ("train --lr 0.1", "No such option '--lr'. Did you mean --learning-rate? See tfdl train --help."),
        ("train --batch_size 8", "Did you mean --batch-size?"),
        ("train --Epochs 8", "Did you mean --epochs?"),
        (
            "train --patience 3",
            "Did you mean --early-stopping-patience?",
        ),
        ("train --num-workers 4", "The input pipeline chooses its own threads."),
        ("train --modle cnn", "--model"),
        ("train --nonsense 1", "o such option"),
        ("evaluate runs/a --lr 0.1", "o such option"),
    ],
)
def test_advice(capsys: pytest.CaptureFixture[str], arguments: str, advice: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert advice in line
    assert "Did you mean --learning-rate" not in line or "train --lr" in arguments


def test_every_suggestion_is_an_option_and_no_other_name_is_one() -> None:
    own = [option for parameter in train.params for option in parameter.opts]
    assert isinstance(train, click.Command)
    for option, names in other_names._OPTIONS.items():
        assert option in own
        assert not {f"--{name}" for name in names} & set(own)
    for names in other_names._ADVICE.values():
        assert not {f"--{name}" for name in names} & set(own)
