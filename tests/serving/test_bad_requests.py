"""Some hundreds of wrong requests; tests/soak sends ten thousand."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.data.tokenizers.texts import CORPUS
from tests.serving.bad_requests import REQUESTS, check_answer
from tests.serving.conftest import running, state_of_programs
from tests.serving.exported_operations import CLASSES, IMAGE_MODELS, TINY_TRANSFORMER, built
from tfdl.config import TrainConfig, choose_tokenizer
from tfdl.data.tokenizers import fit_tokenizer
from tfdl.runs import LoadedRun, RunDirectory
from tfdl.serving.run_program import program_of_run
from tfdl.tasks import ImageClassification, LanguageModeling


@pytest.fixture(scope="module")
def client():
    task = ImageClassification((8, 8, 1), CLASSES, resized=True)
    run = LoadedRun(RunDirectory("none"), TrainConfig(model="cnn"), task, built(IMAGE_MODELS[0], task))
    programs = {"digits": program_of_run(run)}
    task = LanguageModeling(fit_tokenizer(choose_tokenizer("character"), iter(CORPUS)), 16)
    model = built(("transformer", TINY_TRANSFORMER), task)
    run = LoadedRun(RunDirectory("none"), TrainConfig(model="transformer"), task, model)
    programs["gpt"] = program_of_run(run)
    with running(state_of_programs(programs, max_new_tokens=4)) as client:
        yield client


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(REQUESTS)
def test_the_server_lives(client, request_of):
    check_answer(client, *request_of)


def test_it_still_answers_right(client):
    image = np.zeros((8, 8, 1), np.uint8).tolist()
    (row,) = client.ask("digits", {"instances": [image]})["predictions"]
    assert sum(row["probabilities"]) == pytest.approx(1)
