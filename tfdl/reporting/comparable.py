"""What of several runs can be compared, and why the rest is not."""

from collections.abc import Iterator, Sequence

from tfdl.reporting.data_sets import data_set_key
from tfdl.reporting.reported_run import ReportedRun

# Metrics of single tokens; they mean something else for other tokens.
_OF_TOKENS = frozenset({"loss", "perplexity", "token_accuracy"})


def comparison_notes(runs: Sequence[ReportedRun], split: str) -> Iterator[str]:
    """Why something is not compared, in sentences.

    Args:
        runs: at least two.
        split: whose metrics are compared.
    """
    yield from _same_runs(runs)
    tasks = sorted({run.facts.listed.task or "unknown" for run in runs})
    if len(tasks) > 1:
        yield (
            f"The runs have different tasks ({', '.join(tasks)}). Only metrics that all of them have are compared; a"
            " loss of one task says nothing about that of another."
        )
    elif not _have_equal_tokens(runs):
        yield "The runs have different tokens, so losses, perplexities and accuracies of tokens are not compared."
    has_one_data_set = have_one_data_set(runs)
    if not has_one_data_set:
        datasets = sorted({run.facts.listed.dataset or "unknown" for run in runs})
        yield (
            f"The runs have different data sets ({', '.join(datasets)}). They may have no samples in common, so none is"
            " called the best."
        )
    keys = {repr(run.measured.data_key) for run in runs if run.measured is not None and run.is_measured}
    if len(keys) > 1 and has_one_data_set and len(tasks) == 1:
        yield f"The samples of the {split} split are not the same for all runs, so changes have no interval."
    recorded = only_recorded(runs, split)
    if recorded:
        yield (
            f"Not measured: {', '.join(recorded)}. Recorded results, of the last step, are shown but not compared with"
            " measured ones."
        )
    missing = [run.letter for run in runs if not run.metrics(split)]
    if missing:
        yield f"Without results on the {split} split: {', '.join(missing)}."


def _same_runs(runs: Sequence[ReportedRun]) -> Iterator[str]:
    letters: dict[str, list[str]] = {}
    for run in runs:
        letters.setdefault(str(run.facts.run.path.resolve()), []).append(run.letter)
    for same in letters.values():
        if len(same) > 1:
            yield f"{', '.join(same[:-1])} and {same[-1]} are the same run."


def only_recorded(runs: Sequence[ReportedRun], split: str) -> tuple[str, ...]:
    """The letters of the runs whose results are recorded, if those of other runs are measured.

    Recorded results are those of the last step, and of the data as they were then.

    Args:
        runs: at least two.
        split: whose metrics are compared.
    """
    if not any(run.is_measured_on(split) for run in runs):
        return ()
    return tuple(run.letter for run in runs if run.metrics(split) and not run.is_measured_on(split))


def have_one_data_set(runs: Sequence[ReportedRun]) -> bool:
    """Whether all runs have the same data set, as far as their configurations say.

    Args:
        runs: at least one.
    """
    return len({data_set_key(run.facts.listed.dataset or "") for run in runs}) == 1


def common_metrics(runs: Sequence[ReportedRun], split: str) -> list[str]:
    """Metrics that all runs with results have, and that mean the same for them; the main metric first.

    Args:
        runs: that are compared.
        split: whose metrics are compared.
    """
    known = [run.metrics(split) for run in runs if run.metrics(split)]
    if not known:
        return []
    first, *others = known
    main = runs[0].facts.listed.metric
    common = [name for name in first if all(name in metrics for metrics in others)]
    common.sort(key=lambda name: name != main)
    has_one_task = len({run.facts.listed.task for run in runs}) == 1
    if has_one_task and _have_equal_tokens(runs):
        return common
    # An accuracy of tokens is none of samples.
    of_tokens = _OF_TOKENS | {"accuracy"} if any(run.facts.predicts_tokens for run in runs) else _OF_TOKENS
    return [name for name in common if name not in of_tokens]


def _have_equal_tokens(runs: Sequence[ReportedRun]) -> bool:
    """Whether the runs predict the same tokens, as far as is known. Classifiers predict none."""
    if not any(run.facts.predicts_tokens for run in runs):
        return True
    tokenizers = {
        repr({key: value for key, value in run.facts.listed.config.items() if key.split(".")[0] == "tokenizer"})
        for run in runs
    }
    if len(tokenizers) > 1:
        return False
    digests = {run.measured.token_key[0] for run in runs if run.measured is not None and run.measured.token_key}
    return len(digests) < 2
