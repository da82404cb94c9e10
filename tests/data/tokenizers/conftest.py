"""One tokenizer of each kind."""

import json

import pytest
from tokenizers import Tokenizer as Trained
from tokenizers import models, pre_tokenizers, trainers

from tests.data.tokenizers.texts import CORPUS
from tfdl.config import choose_tokenizer
from tfdl.data.tokenizers import fit_tokenizer


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory):
    """vocab.json and merges.txt as Hugging Face writes them, with the end of the text last as GPT-2 has it."""
    trained = Trained(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    trained.train_from_iterator(CORPUS, trainer)
    folder = tmp_path_factory.mktemp("gpt2")
    trained.model.save(str(folder))
    ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    (folder / "vocab.json").write_text(json.dumps({**ids, "<|endoftext|>": len(ids)}), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def fitted(gpt2_folder):
    """Name -> tokenizer."""
    configs = {name: choose_tokenizer(name) for name in ("byte", "character", "word")}
    configs["bpe"] = choose_tokenizer({"name": "bpe", "vocab_size": 500})
    configs["gpt2"] = choose_tokenizer({"name": "gpt2", "folder": str(gpt2_folder)})
    return {name: fit_tokenizer(config, iter(CORPUS)) for name, config in configs.items()}
