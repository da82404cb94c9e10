"""Reports of runs of texts: generated texts, translations, and texts that were classified wrongly."""

import math
from collections import Counter

import pytest
from lxml import html as lxml_html

import tfdl
from tfdl.config import compose

SMALL = {
    "model": {"name": "transformer", "hidden_dim": 16, "num_heads": 2, "num_layers": 1},
    "steps": 2,
    "epochs": None,
    "batch_size": 8,
    "xla": "off",
}
FEW = {"train_split": "train[:40]", "validation_split": "train[40:60]", "test_split": "train[60:80]"}


def config(task, dataset, **fields):
    return compose(SMALL, {"task": task, "dataset": {"name": dataset, "sequence_length": 32, **FEW, **fields}})


@pytest.fixture(scope="module")
def report(tmp_path_factory, tiny_language):
    """One report of three runs of two steps each."""
    folder = tmp_path_factory.mktemp("texts")
    tfdl.train(tiny_language("transformer", steps=2), folder / "language")
    tfdl.train(config("text-classification", "docstrings"), folder / "topics")
    tfdl.train(config("translation", "dates"), folder / "dates")
    return tfdl.report([folder / name for name in ("language", "topics", "dates")], folder / "out")


@pytest.fixture(scope="module")
def root(report):
    return lxml_html.fromstring(report.page.read_text(encoding="utf-8"))


def finding(report, run, name):
    return next(each for each in report.findings if (each.run, each.name) == (run, name))


@pytest.mark.slow
def test_generated_texts(report, root):
    measured = report.runs[0].measured
    texts = measured.texts
    assert texts.kind == "generated"
    assert len(texts.samples) == 4
    assert len({sample.written for sample in texts.samples}) > 1
    loaded = tfdl.load(report.runs[0].facts.run)
    first = texts.samples[0]
    (again,) = loaded.generate(
        first.given, max_new_tokens=64, samplers=[{"name": "random", "temperature": 0.8}], seed=0
    )
    assert first.written == (again.text if again.finish == "end" else f"{again.text}…")
    # What is expected is how the text goes on in the data.
    _, sources = type(loaded.task).open(loaded.config, loaded.run.assets)
    window = sources["test"].read([0])["tokens"][0][1:].numpy()
    assert loaded.task.tokenizer.decode(window).startswith(first.given + first.expected.removesuffix("…"))
    # Of the other windows nobody knows whether a text begins there.
    assert [sample.given.startswith("…") for sample in texts.samples[:2]] == [False, True]
    page = root.get_element_by_id("A").text_content()
    assert "Generated texts" in page
    assert first.given in page


@pytest.mark.slow
def test_the_perplexity_of_guessing(report):
    """By hand, from the windows' targets: e to the power of the entropy of their tokens."""
    run = report.runs[0]
    loaded = tfdl.load(run.facts.run)
    _, sources = type(loaded.task).open(loaded.config, loaded.run.assets)
    counts = Counter()
    for number in range(sources["test"].num_examples):
        sample = sources["test"].read([number])
        counts.update(sample["tokens"][0][1 : int(sample["count"][0]) + 1].numpy().tolist())
    total = sum(counts.values())
    entropy = -sum(count / total * math.log(count / total) for count in counts.values())
    assert run.measured.guess.value == pytest.approx(math.exp(entropy))
    found = finding(report, "language", "guessing")
    assert found.values["better"] == (run.measured.metrics["perplexity"] < math.exp(entropy))


@pytest.mark.slow
def test_texts_that_were_classified_wrongly(report, root):
    mistakes = report.runs[1].measured.classes.mistakes
    assert mistakes
    loaded = tfdl.load(report.runs[1].facts.run)
    for mistake in mistakes[:3]:
        if mistake.text.endswith("…"):
            continue  # it was cut for the page
        (answer,) = loaded.predict(mistake.text)
        assert answer["class_name"] == mistake.prediction != mistake.label
        assert answer["probability"] == pytest.approx(mistake.confidence, abs=1e-4)
    assert not all(mistake.text.endswith("…") for mistake in mistakes[:3])
    assert mistakes[0].text in root.get_element_by_id("B").text_content()


@pytest.mark.slow
def test_translations(report, root):
    measured = report.runs[2].measured
    loaded = tfdl.load(report.runs[2].facts.run)
    samples = measured.texts.samples
    assert len(samples) == 8
    assert loaded.predict(samples[0].given)[0]["target"] == samples[0].written
    assert measured.texts.num_written == measured.num_samples == 20
    assert "Translations" in root.get_element_by_id("C").text_content()


@pytest.mark.slow
def test_runs_of_other_tasks_are_compared_by_what_they_have_in_common(report):
    assert report.comparison.metrics == ()
    assert "different tasks" in report.comparison.notes[0]
    assert report.comparison.changes == ()
