"""Scripts like those of keras.io: each has parts that scripts of ``tests/distributed/test_keras_examples.py`` have."""

from pathlib import Path

import pytest

from tests.distributed.test_keras_examples import check_example, train_alone_and_together

pytestmark = pytest.mark.distributed

EXAMPLES = ["convnet", "vae", "vit", "embeddings", "simclr", "seq2seq", "actor_critic"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return train_alone_and_together(tmp_path_factory, EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_two_ranks_train_the_model_of_one_process(trained: tuple[Path, Path], name: str) -> None:
    check_example(*trained, name)
