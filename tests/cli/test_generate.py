"""``tfdl generate``: texts on standard output, prompts from anywhere, and one line for what cannot be used."""

import io
import json
import sys

import pytest

import tfdl
from tfdl.inference.generation import Generator
from tfdl.runs import load_run


@pytest.fixture(scope="module")
def run(tiny_language, tmp_path_factory):
    """A decoder that was trained for a few steps; it has 64 positions."""
    return tfdl.train(tiny_language("transformer", steps=5), tmp_path_factory.mktemp("language") / "run")


@pytest.fixture(scope="module")
def generator(run):
    loaded = load_run(run)
    return Generator(loaded.model, loaded.task)


@pytest.fixture
def generate(run, run_here):
    """Exit code, standard output and standard error of ``tfdl generate``."""
    return lambda *arguments, path=run.path: run_here("generate", path, *arguments)


def test_a_text_is_printed_after_its_prompt(generate, generator):
    code, out, err = generate("--prompt", "import", "--max-new-tokens", 12)
    (text,) = generator.generate(["import"], max_new_tokens=12)
    assert (code, out, err) == (0, f"import{text.text}\n", "")


def test_options_are_samplers(generate, generator):
    drawn = ["--repetition-penalty", 1.1, "--temperature", 0.9, "--top-k", 30, "--top-p", 0.95, "--min-p", 0.01]
    arguments = [*drawn, "--num-samples", 2, "--seed", 3, "--max-new-tokens", 15]
    code, out, err = generate("--prompt", "def ", "--prompt", "class ", *arguments, "--json")
    assert (code, err) == (0, "")
    samplers = [
        {"name": "repetition_penalty", "penalty": 1.1},
        {"name": "random", "temperature": 0.9},
        {"name": "top_k", "k": 30},
        {"name": "top_p", "p": 0.95},
        {"name": "min_p", "p": 0.01},
    ]
    expected = generator.generate(["def ", "class "], samplers=samplers, num_samples=2, seed=3, max_new_tokens=15)
    found = [json.loads(line) for line in out.splitlines()]
    assert list(found[0]) == ["prompt", "sample", "text", "tokens", "log_probability", "finish"]
    assert [(text["prompt"], text["sample"], text["text"]) for text in found] == [
        (text.prompt, text.sample, text.text) for text in expected
    ]
    assert len({text["text"] for text in found}) == 4
    code, out, _ = generate("--prompt", "def ", *arguments, "--sampler", "top_k:k=1", "--json")
    (best, *_) = generator.generate(["def "], max_new_tokens=15, samplers=samplers[:1])
    assert json.loads(out.splitlines()[0])["text"] == best.text


def test_prompts_from_a_file_and_from_standard_input(generate, tmp_path, monkeypatch):
    lines = "import\ndef \n"
    (tmp_path / "prompts.txt").write_text(lines)
    code, from_file, err = generate("--prompts", tmp_path / "prompts.txt", "--max-new-tokens", 5)
    assert (code, err) == (0, "")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    _, from_input, _ = generate("--prompts", "-", "--max-new-tokens", 5)
    _, from_options, _ = generate("--prompt", "import", "--prompt", "def ", "--max-new-tokens", 5)
    assert from_file == from_input == from_options
    assert from_file.startswith("import")
    assert "\n\ndef " in from_file


def test_the_last_position_is_noted(generate):
    code, out, err = generate("--prompt", "import os")
    assert code == 0
    assert out.startswith("import os")
    assert err == (
        "note: the text ends after 55 tokens, at the last of the model's 64 positions; a model trained with a larger"
        " sequence_length has more\n"
    )


def test_prompts_that_cannot_be_used_are_left_out(generate):
    prompts = ["--prompt", "a", "--prompt", "", "--prompt", "b" * 99, "--prompt", "c", "--max-new-tokens", 3]
    code, out, err = generate(*prompts)
    assert (code, out) == (2, "")
    assert err == "tfdl: error: the prompt '' has no token, expected a text that the model can read\n"
    code, out, err = generate(*prompts, "--skip-bad-rows", "--json")
    assert code == 0
    assert [json.loads(line)["prompt"] for line in out.splitlines()] == ["a", "c"]
    first, second = err.splitlines()
    assert first == "left out: prompt 2: the prompt '' has no token, expected a text that the model can read"
    assert second.startswith("left out: prompt 3: the prompt 'bbb")


BAD = [
    ([], "no prompt, expected --prompt TEXT, or --prompts FILE"),
    (["--prompts", "nowhere.txt"], "cannot read 'nowhere.txt' (No such file or directory); expected a file with"),
    (["--prompt", "a", "--max-new-tokens", "0"], "Invalid value for '--max-new-tokens': 0 is not in the range x>=1"),
    (
        ["--prompt", "a", "--temperature", "-1"],
        "--temperature -1, expected 0 (the most likely token) or a positive number such as 0.8",
    ),
    (["--prompt", "a", "--top-p", "1.5"], "--top-p 1.5, expected a probability above 0 and up to 1"),
    (["--prompt", "a", "--top-k", "0"], "--top-k 0, expected a number of tokens of at least 1"),
    (["--prompt", "a", "--min-p", "2"], "--min-p 2, expected a fraction above 0 and up to 1"),
    (["--prompt", "a", "--repetition-penalty", "nan"], "--repetition-penalty nan, expected a positive number such as"),
    (["--prompt", "a", "--sampler", "top_p:p=2"], "top_p.p=2.0, expected a probability above 0 and up to 1"),
    (["--prompt", "a", "--sampler", "nope"], "unknown sampler 'nope', expected one of repetition_penalty, greedy"),
    (["--prompt", "a", "--sampler", "top_k:n=3"], "unknown key 'sampler.n', expected one of k"),
    (["--prompt", "a", "--sampler", "top_k:3"], "--sampler top_k '3', expected KEY=VALUE such as temperature=0.8"),
    (["--prompt", "x" * 64], "has 64 tokens, expected at most 63, since the model has 64 positions"),
    (["--prompt", "a", "--stop", ""], "a stop string is empty"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_input(generate, arguments, message):
    code, out, err = generate(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("tfdl: error: ")
    assert err.count("\n") == 1
    assert message in err


def test_files_that_are_no_texts(generate, tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    (tmp_path / "empty.txt").write_bytes(b"")
    assert "is not UTF-8 text (byte 3)" in generate("--prompts", tmp_path / "latin.txt")[2]
    assert "is empty, expected a prompt on each line" in generate("--prompts", tmp_path / "empty.txt")[2]


def test_runs_that_write_no_text(generate, trained_run, tmp_path):
    code, _, err = generate("--prompt", "a", path=trained_run.path)
    assert (code, err.count("\n")) == (2, 1)
    assert "a model of the task image-classification writes no text, expected one of language-modeling or" in err
    code, _, err = generate("--prompt", "a", path=tmp_path)
    assert (code, err.count("\n")) == (2, 1)
