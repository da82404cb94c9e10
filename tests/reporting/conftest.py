"""Pages that several files of tests look at."""

import pytest

from tests.reporting.made_report import HOSTILE, classifier, page_of, reported, samples


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """``one``: the page of a run with hostile texts everywhere; ``three``: of three runs."""
    folder = tmp_path_factory.mktemp("pages")
    changes = {"model": HOSTILE[0], "dataset": HOSTILE[1], "test": {HOSTILE[2]: 0.5, "accuracy": 0.5}}
    hostile = classifier(
        folder / "<script>alert(1)<",
        names=HOSTILE,
        count=300,
        mistake_texts=HOSTILE,
        texts=samples(*HOSTILE),
        changes=changes,
    )
    three = [classifier(folder / "a"), classifier(folder / "b", "B", count=50), reported(folder / "c", "C")]
    return {"one": page_of(hostile, title=HOSTILE[0]), "three": page_of(*three, title=HOSTILE[3])}
