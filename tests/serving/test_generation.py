"""Texts of runs and of SavedModels, whole and piece by piece."""

import http.client
import json
import threading

import numpy as np
import pytest
import tensorflow as tf

from tests.data.tokenizers.texts import CORPUS
from tests.serving.asking import wait_until
from tests.serving.conftest import running, state_of_programs
from tests.serving.exported_operations import TINY_TRANSFORMER, built
from tfdl.config import TrainConfig, choose_tokenizer
from tfdl.data.tokenizers import fit_tokenizer
from tfdl.inference import Generator
from tfdl.runs import LoadedRun, RunDirectory
from tfdl.serving.program import Program
from tfdl.serving.run_program import program_of_run
from tfdl.serving.text_writer import StoppedWriting
from tfdl.tasks import LanguageModeling, Translation

PROMPT = "the first"


def loaded(task, choice):
    """A run with random weights."""
    model = built(choice, task)
    return LoadedRun(RunDirectory("none"), TrainConfig(model=choice[0]), task, model)


@pytest.fixture(scope="module")
def tokenizer():
    return fit_tokenizer(choose_tokenizer("character"), iter(CORPUS))


@pytest.fixture(scope="module")
def runs(tokenizer):
    sizes = {**TINY_TRANSFORMER, "sequence_length": 400}
    return {
        "gpt": loaded(LanguageModeling(tokenizer, 400), ("transformer", sizes)),
        "dates": loaded(Translation(tokenizer, 16), ("transformer", {**sizes, "architecture": "encoder-decoder"})),
    }


@pytest.fixture(scope="module")
def client(runs):
    programs = {name: program_of_run(run) for name, run in runs.items()}
    whole = programs["gpt"]
    # As a SavedModel: the same functions, and nothing that writes in pieces.
    programs["saved"] = Program(whole.signatures, whole.functions, whole.description)
    state = state_of_programs(programs, max_streams=4, max_new_tokens=380)
    with running(state) as client:
        client.state = state
        yield client


def expected(run, prompt=PROMPT, **options):
    (text,) = Generator(run.model, run.task).generate([prompt], **options)
    return text


DRAWN = [{"name": "random", "temperature": 0.7}, {"name": "top_k", "k": 5}, {"name": "top_p", "p": 0.9}]


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({}, {"max_new_tokens": 100}),
        ({"max_new_tokens": 30, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "seed": 7},
         {"max_new_tokens": 30, "samplers": DRAWN, "seed": 7}),
    ],
)  # fmt: skip
def test_a_text_is_that_of_the_generator(client, runs, body, options):
    text = expected(runs["gpt"], **options)
    answer = client.ask("gpt", {"text": PROMPT, **body}, "generate")
    assert (answer["generated"], answer["tokens"], answer["finish"]) == (text.text, len(text.tokens), text.finish)
    assert answer["log_probability"] == pytest.approx(text.log_probability, abs=1e-3)


@pytest.fixture(scope="module")
def seed(client):
    """A seed with which the model, whose weights are random, does not end its text at once."""
    for number in range(100):
        body = {"text": PROMPT, "max_new_tokens": 30, "temperature": 1, "seed": number}
        if client.ask("gpt", body, "generate")["tokens"] > 20:
            return number
    raise AssertionError("every text is short")


def test_a_stream_is_the_text_in_pieces(client, seed):
    body = {"text": PROMPT, "max_new_tokens": 30, "temperature": 1, "seed": seed}
    whole = client.ask("gpt", body, "generate")
    *pieces, last = client.events("/v1/models/gpt:generate", {**body, "stream": True})
    assert len(pieces) > 2
    assert "".join(piece["piece"] for piece in pieces) == whole["generated"]
    assert last == {"done": True, **whole}


def test_a_stop_string(client, seed):
    body = {"text": PROMPT, "max_new_tokens": 30, "temperature": 1, "seed": seed}
    whole = client.ask("gpt", body, "generate")["generated"]
    stop = whole[10:12]
    answer = client.ask("gpt", {**body, "stop": stop}, "generate")
    assert answer["finish"] == "stop"
    assert answer["generated"] == whole[: whole.find(stop)]


def test_a_translation(client, runs):
    text = expected(runs["dates"])
    answer = client.ask("dates", {"text": PROMPT}, "generate")
    assert (answer["generated"], answer["finish"]) == (text.text, text.finish)


def test_a_saved_model_writes_the_whole_text(client, runs):
    body = {"text": PROMPT, "max_new_tokens": 12}
    answer = client.ask("saved", body, "generate")
    assert answer["generated"] == expected(runs["gpt"], max_new_tokens=12).text
    assert client.events("/v1/models/saved:generate", {**body, "stream": True}) == [{"done": True, **answer}]
    inputs = {"text": [PROMPT], "max_new_tokens": 12, "temperature": 0, "top_k": 0, "top_p": 1, "seed": 0}
    outputs = client.ask("gpt", {"signature_name": "generate", "inputs": inputs})["outputs"]
    assert outputs["generated"] == [answer["generated"]]
    inputs["max_new_tokens"] = 10**9
    message = client.error("/v1/models/gpt:predict", {"signature_name": "generate", "inputs": inputs})
    assert message == "max_new_tokens is 1000000000, expected from 1 to 380"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "text is missing, expected a string"),
        ({"text": 1}, "text is 1, expected a string"),
        ({"text": ""}, "the prompt '' has no token"),
        ({"text": "a" * 500}, "has 500 tokens, expected at most 399"),
        ({"text": "\ud800"}, "half of a surrogate pair"),
        ({"text": "a", "max_new_tokens": 0}, "max_new_tokens is 0, expected from 1 to 380"),
        ({"text": "a", "max_new_tokens": 381}, "max_new_tokens is 381, expected from 1 to 380"),
        ({"text": "a", "max_new_tokens": 1.0}, "max_new_tokens is 1.0, expected a whole number"),
        ({"text": "a", "temperature": -1}, "temperature is -1.0, expected 0"),
        ({"text": "a", "temperature": float("nan")}, "temperature is NaN, expected 0"),
        (
            {"text": "a", "temperature": float("inf")},
            "temperature is Infinity, expected 0 (the most likely tokens) or a fin",
        ),
        ({"text": "a", "temperature": 10**400}, "temperature is too large"),
        ({"text": "a", "temperature": True}, "temperature is true, expected a number"),
        ({"text": "a", "top_k": -1}, "top_k is -1, expected from 0"),
        ({"text": "a", "top_p": 0}, "top_p is 0.0, expected above 0"),
        ({"text": "a", "top_p": 1e-50}, "top_p is 1e-50, expected above 0"),
        ({"text": "a", "seed": -1}, "seed is -1, expected from 0"),
        ({"text": "a", "stop": [""]}, 'stop is [""], expected a string'),
        ({"text": "a", "stop": ["x"] * 17}, "expected a string, or an array of at most 16 strings"),
        ({"text": "a", "stream": 1}, "stream is 1, expected true or false"),
        ({"text": "a", "beams": 2}, 'unknown key "beams"'),
    ],
)
def test_what_is_refused(client, body, message):
    assert message in client.error("/v1/models/gpt:generate", body)
    assert message in client.error("/v1/models/gpt:generate", {"stream": True, **body})


def test_what_a_saved_model_refuses(client):
    assert "stop has no meaning for a SavedModel" in client.error(
        "/v1/models/saved:generate", {"text": "a", "stop": "b"}
    )
    assert "seed is 4294967296" in client.error("/v1/models/saved:generate", {"text": "a", "seed": 2**32})


@pytest.mark.parametrize("many", [381, 2_000_000_000])
def test_predict_has_the_same_limit_of_tokens(client, many):
    inputs = {"text": ["a"], "max_new_tokens": many, "temperature": 0, "top_k": 0, "top_p": 1, "seed": 0}
    message = client.error("/v1/models/gpt:predict", {"signature_name": "generate", "inputs": inputs})
    assert message == f"max_new_tokens is {many}, expected from 1 to 380"


def test_several_streams_proceed_and_one_more_is_refused(client, monkeypatch):
    """Each text waits, after its first piece, until all have one."""
    met = threading.Barrier(4, timeout=60)
    writer = client.state.models["gpt"].newest().program.writer
    original = writer.write

    def write(text, settings, on_piece, is_wanted):
        is_first = True

        def report(piece):
            nonlocal is_first
            on_piece(piece)
            if is_first:
                is_first = False
                met.wait()

        return original(text, settings, report, is_wanted)

    monkeypatch.setattr(type(writer), "write", lambda self, *arguments: write(*arguments))  # noqa: ARG005
    body = {"text": PROMPT, "max_new_tokens": 20, "stream": True}
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(client.events("/v1/models/gpt:generate", body))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: met.n_waiting == 3)
    found.append(client.events("/v1/models/gpt:generate", body))
    for thread in threads:
        thread.join()
    assert found[0][-1]["tokens"] > 1
    assert all(events == found[0] for events in found)


@pytest.mark.parametrize("is_streamed", [True, False])
def test_a_client_that_goes_away_stops_its_text(client, monkeypatch, is_streamed):
    """The writer would never end: every token is followed by another one."""
    stopped = threading.Event()
    begun = threading.Event()
    writer = client.state.models["gpt"].newest().program.writer

    def write(self, text, settings, on_piece, is_wanted):  # noqa: ARG001
        on_piece("a")
        begun.set()
        wait_until(lambda: not is_wanted())
        stopped.set()
        raise StoppedWriting

    monkeypatch.setattr(type(writer), "write", write)
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=60)
    connection.request("POST", "/v1/models/gpt:generate", json.dumps({"text": "a", "stream": is_streamed}))
    if is_streamed:
        response = connection.getresponse()
        assert response.fp.readline().strip()
        response.close()
    assert begun.wait(60)
    connection.close()
    assert stopped.wait(60)
    wait_until(lambda: client.state.streams.num_open == 0)


def test_too_many_streams(client, monkeypatch):
    monkeypatch.setattr(client.state.streams, "_most", 0)
    for is_streamed in (True, False):
        body = {"text": "a", "stream": is_streamed}
        assert "texts are written already" in client.error("/v1/models/gpt:generate", body, 503)


def test_an_error_in_the_middle_of_a_stream_is_its_last_event(client, monkeypatch):
    writer = client.state.models["gpt"].newest().program.writer

    def write(self, text, settings, on_piece, is_wanted):  # noqa: ARG001
        on_piece("a")
        raise tf.errors.InternalError(None, None, "a secret of /home/me")

    monkeypatch.setattr(type(writer), "write", write)
    events = client.events("/v1/models/gpt:generate", {"text": "a", "stream": True})
    assert events == [
        {"piece": "a"},
        {"error": "the model failed with InternalError; the server's log has the error"},
    ]


def test_tokens_are_counted(client):
    def count():
        lines = client.send("GET", "/metrics")[1].decode().splitlines()
        (line,) = [line for line in lines if line.startswith('tfdl_generated_tokens_total{model="dates"')]
        return int(line.split()[-1])

    tokens = client.ask("dates", {"text": PROMPT}, "generate")["tokens"]
    before = count()
    client.ask("dates", {"text": PROMPT}, "generate")
    assert count() == before + tokens
    assert np.isfinite(before)
