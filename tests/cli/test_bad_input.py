"""Input that cannot be used ends in one line on standard error and exit code 2, and nothing is written."""

import os
import re

import pytest

from tfdl.cli.main import main


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Exit code, standard output and standard error of a command in a folder with a few odd files."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("x")
    (tmp_path / "bad.yaml").write_text("epochs: [1\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "unknown.yaml").write_text("epoch: 1\n")
    (tmp_path / "hosts").write_text("# nobody\n\n")
    monkeypatch.chdir(tmp_path)
    before = sorted(str(path) for path in tmp_path.rglob("*"))

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert sorted(str(path) for path in tmp_path.rglob("*")) == before, "something was written"
        return (ended.value.code, *capfd.readouterr())

    return call


CASES = [
    ("trian", "unknown command 'trian', expected one of train, runs, report, evaluate, .* Did you mean 'train'?"),
    ("--nope", "No such option:? '?--nope"),
    ("train --modle cnn", "No such option:? '?--modle"),
    ("train extra", r"unexpected extra argument \(extra\); every value needs an option, as in --model cnn\. See"),
    ("train --model nope", "unknown model 'nope', expected one of cnn"),
    ("train --task nope", "task='nope', expected one of image-classification"),
    ("train --optimizer adm", "unknown optimizer 'adm'.* Did you mean 'adam'"),
    ("train --dataset mnits", "unknown data set 'mnits'.* Did you mean 'mnist'"),
    ("train --epochs 0", "epochs=0, expected a number of at least 1"),
    ("train --epochs many", "Invalid value for '--epochs': 'many' is not a valid integer"),
    ("train --epochs 1 --steps 1", "epochs=1 and steps=1, pass one of them, not both"),
    ("train --batch-size 0", "batch_size=0, expected a number of at least 1"),
    ("train --batch-size 9999", "batch_size=9999, but 'digits' has 1437 training samples; .* --batch-size 1437$"),
    ("train --learning-rate -1", "optimizer.learning_rate=-1.0, expected a positive number"),
    ("train --seed -1", "seed=-1, expected a whole number from 0"),
    ("train --image-size big", "'big', expected pixels such as 24 or 24x32"),
    ("train --image-size 0", r"dataset.image_size=\[0, 0\], expected a positive height and width"),
    ("train --image-size 2", "images of 2x2 are too small for 2 pools"),
    ("train --set epochs", "--set 'epochs', expected KEY=VALUE"),
    ("train --set epoch=1", "unknown key 'epoch', .* Did you mean 'epochs'"),
    ("train --set dropout=0.5", "unknown key 'dropout', expected model.dropout, as in --set model.dropout=VALUE"),
    ("train --set clip_norm=1", "unknown key 'clip_norm', expected optimizer.clip_norm, as in"),
    ("train --model rnn --set vocab_size=9 --tokenizer bpe", "expected tokenizer.vocab_size, as in --set"),
    ("train --set model.unts=1", "unknown key 'model.unts', .* Did you mean 'units'"),
    ("train --set model.filters=3", "model.filters=3, expected a list of items"),
    ("train --set plugins=5 --plugin json", "plugins=5, expected a list of items"),
    ("train --set model.filters=[1", "--set model.filters is not valid YAML"),
    ("train --set dataset.train_split=trian", "unknown split 'trian' of 'digits', .* Did you mean 'train'"),
    ("train --set dataset.test_split=tset", "unknown split 'tset' of 'digits', .* Did you mean 'test'"),
    ("train --dataset dates", "'dates' has 0 images in a sample .*; for what it has, give --task translation"),
    ("train --task text-classification --dataset dates", "has 0 class labels in .*; .* give --task translation"),
    ("train --task translation --dataset docstrings", "expected two, source and target; .* --task text-classification"),
    ("train --task translation --model rnn", "'rnn', which is for language-modeling and text-classification; choose"),
    ("train --task translation --sequence-length 99", "but the model 'transformer' has 64 learned positions"),
    ("train --task translation --tokenizer gpt2 --set tokenizer.folder=.", "'gpt2', expected another one for transl"),
    ("train --config missing.yaml", "cannot read configuration 'missing.yaml'"),
    ("train --config full", r"cannot read configuration 'full' \(Is a directory\)"),
    ("train --config bad.yaml", "bad.yaml is not valid YAML: .*line 2"),
    ("train --config list.yaml", "list.yaml holds a list, expected a mapping"),
    ("train --config unknown.yaml", "unknown key 'epoch', .* Did you mean 'epochs'"),
    ("train --resume", "--resume without --output"),
    ("train --resume --overwrite --output new", "--resume and --overwrite, pass one of them, not both"),
    ("train --elastic", "--elastic outside an elastic job, expected horovodrun .* --host-discovery-script"),
    ("train --elastic --commit-steps 0", "--commit-steps=0, expected at least 1"),
    ("train --commit-steps 5", "--commit-steps=5 without --elastic: only elastic runs commit; pass both"),
    ("train --output file", "'.*file' is a file, expected a directory"),
    ("train --output file/below", "'.*file' is a file, expected a directory"),
    ("train --output full", "is not empty and contains no run"),
    ("train --output full --overwrite", "is not empty and contains no run"),
    ("train --data-dir file", "cannot prepare data set 'digits' in file"),
    ("evaluate", r"Missing argument 'RUN\.\.\.'"),
    ("evaluate missing", "no run directory 'missing'; give one that `tfdl train` wrote"),
    ("evaluate full", r"'full' holds no run \(no config.yaml\)"),
    ("evaluate {run} --split tset", "split 'tset', expected one of train, validation, test. Did you mean 'test'"),
    ("evaluate {run} --checkpoint step-1", "has no checkpoint 'step-1'; it has best, last, "),
    ("export {run}", "Missing argument 'DIRECTORY'"),
    ("export missing out", "no run directory 'missing'"),
    ("export {run} file", "'file' is a file, expected a directory for the exported versions"),
    ("export {run} out --checkpoint no", "has no checkpoint 'no'"),
    ("train --output {run}", "already contains a run; continue it"),
    ("train --output {run} --resume --seed 9", "--resume with seed=9, but the run has 0"),
    ("train --output {run} --resume --epochs 1", "--resume with epochs=1, but the run has done 2 already"),
    ("doctor --hostfile missing", r"cannot read hostfile 'missing' \(No such file or directory\)"),
    ("doctor --hostfile hosts", "hostfile 'hosts' names no host, expected `name slots=N` lines"),
    ("completion", r"Missing argument '\{bash\|zsh\|fish\}'. Choose from: bash, zsh, fish. See"),
    ("completion tcsh", "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
]


@pytest.mark.parametrize(("line", "message"), CASES, ids=[line for line, _ in CASES])
def test_one_line_and_exit_code_2(run, trained_run, line, message):
    arguments = [word.replace("{run}", str(trained_run.path)) for word in line.split()]
    code, out, err = run(*arguments)
    assert err.startswith("tfdl: error: ")
    assert err.count("\n") == 1, err
    assert re.search(message, err), err
    assert (code, out) == (2, "")


@pytest.mark.parametrize(
    "launcher",
    [
        {"HOROVOD_RANK": "1", "HOROVOD_SIZE": "2"},
        {"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"},
        {"PMI_RANK": "1", "PMI_SIZE": "2"},
    ],
    ids=lambda launcher: next(iter(launcher)),
)
def test_ranks_above_0_leave_the_error_to_rank_0_and_print_it_when_left_alone(run, monkeypatch, launcher):
    """The launcher ends them while they wait; here there is none."""
    waited = []
    monkeypatch.setattr("tfdl.cli.failures.time.sleep", waited.append)
    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    rank = next(iter(launcher.values()))
    line = f"tfdl: rank {rank}: error: epochs=0, expected a number of at least 1\n"
    assert run("train", "--epochs", "0") == (2, "", line)
    assert run("evaluate", "missing")[2].startswith(f"tfdl: rank {rank}: error: no run directory 'missing'")
    assert waited == [5.0, 5.0]


@pytest.mark.parametrize(("local_id", "prints"), [("0", True), ("1", False)])
def test_one_rank_on_each_node_of_srun_prints(run, monkeypatch, local_id, prints):
    """srun ends none of them, so every rank would print a misspelt option."""
    monkeypatch.setattr("tfdl.cli.failures.time.sleep", lambda _: None)
    for name, value in {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": local_id}.items():
        monkeypatch.setenv(name, value)
    code, out, err = run("train", "--epochs", "0")
    assert (code, out, bool(err)) == (2, "", prints)


def test_rank_0_prints(run, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "0")
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    code, _, err = run("train", "--epochs", "0")
    assert (code, err) == (2, "tfdl: error: epochs=0, expected a number of at least 1\n")


def test_a_launcher_s_environment_that_makes_no_sense(run, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "0")
    monkeypatch.delenv("HOROVOD_SIZE", raising=False)
    code, _, err = run("train", "--epochs", "1")
    assert code == 2
    assert "HOROVOD_RANK='0' and HOROVOD_SIZE='' in the environment, expected a rank below a size" in err


def test_debug_shows_the_traceback(run):
    code, _, err = run("train", "--epochs", "0", "--debug")
    assert code == 2
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("tfdl: error: epochs=0, expected a number of at least 1\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "full").chmod(0o500)
    code, _, err = run("train", "--output", "full/run")
    assert code == 2
    assert "cannot be written; choose another --output" in err
