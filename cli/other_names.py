"""Options of other programs, and what they are called here."""

from collections.abc import Sequence

# Option of tfdl -> names that other programs give it.
_OPTIONS = {
    "--learning-rate": ("lr", "rate", "base-lr", "max-lr", "initial-lr"),
    "--batch-size": ("bs", "batch", "batchsize", "per-device-train-batch-size", "train-batch-size", "micro-batch-size"),
    "--accumulation-steps": (
        "grad-accum",
        "accum",
        "accumulate",
        "gradient-accumulation-steps",
        "accumulate-grad-batches",
    ),
    "--epochs": ("epoch", "num-epochs", "n-epochs", "max-epochs", "num-train-epochs"),
    "--steps": ("max-steps", "num-steps", "iterations", "max-iters"),
    "--dataset": ("data", "data-path", "dataset-name", "train-data", "train-file", "input"),
    "--output": (
        "out",
        "out-dir",
        "output-dir",
        "save-dir",
        "logdir",
        "log-dir",
        "run-dir",
        "checkpoint-dir",
        "work-dir",
    ),
    "--resume": ("resume-from", "resume-from-checkpoint", "ckpt", "ckpt-path", "checkpoint", "continue", "restore"),
    "--weight-decay": ("wd",),
    "--optimizer": ("optim", "opt"),
    "--schedule": ("scheduler", "lr-scheduler", "lr-scheduler-type", "lr-schedule", "lr-decay"),
    "--warmup-steps": ("warmup", "lr-warmup-steps", "num-warmup-steps"),
    "--precision": ("amp", "fp16", "bf16", "half", "dtype", "mixed-precision", "use-amp"),
    "--image-size": ("img-size", "imgsz", "size", "resolution", "input-size"),
    "--sequence-length": ("seq-len", "seq-length", "max-seq-length", "max-length", "block-size", "context-length"),
    "--augmentation": ("aug", "augment", "augmentations"),
    "--label-smoothing": ("smoothing", "ls"),
    "--overwrite": ("force", "overwrite-output-dir"),
    "--model": ("arch", "architecture", "network", "model-name"),
    "--config": ("cfg", "config-file", "yaml"),
    "--xla": ("compile", "jit", "jit-compile"),
    "--seed": ("random-seed", "rng-seed"),
    "--early-stopping-patience": ("patience", "early-stopping", "early-stop"),
    "--checkpoint-steps": (
        "save-steps",
        "save-every",
        "checkpoint-every",
        "checkpoint-interval",
        "every-n-train-steps",
    ),
    "--checkpoint-minutes": ("save-minutes", "checkpoint-time", "train-time-interval"),
    "--time-limit": ("max-time", "timeout", "wall-time"),
    "--monitor": ("metric", "metric-for-best-model", "monitor-metric"),
}
# What to do -> names of options that other programs have for it.
_ADVICE = {
    "Give --set model.dropout=0.1": ("dropout",),
    "Give --set model.filters=[32,64]": ("filters",),
    "Give --set optimizer.momentum=0.9": ("momentum",),
    "Give --set optimizer.nesterov=true": ("nesterov",),
    "Give --set optimizer.clip_norm=1": ("clip-norm", "clip-grad", "grad-clip", "max-grad-norm", "gradient-clip-val"),
    "Give --set optimizer.ema_momentum=0.999": ("ema", "model-ema"),
    "Several ranks are started by horovodrun: horovodrun -np 4 tfdl train": (
        "np",
        "nproc",
        "nproc-per-node",
        "gpus",
        "num-gpus",
        "devices",
    ),
    "The input pipeline chooses its own threads": ("workers", "num-workers"),
    "TensorFlow takes a GPU if there is one; CUDA_VISIBLE_DEVICES= hides it": ("device", "cpu", "no-cuda"),
    "--debug shows the traceback of an error": ("verbose",),
}


def advice_for(option: str, known: Sequence[str]) -> str:
    """What to give in place of an option that does not exist; empty if that is not known.

    Args:
        option: as it was given, such as ``--lr``.
        known: the options of the command.
    """
    name = option.lstrip("-").replace("_", "-").lower()
    spelled = f"--{name}"
    if spelled in known and spelled != option:
        return f"Did you mean {spelled}?"
    for own_name, other_names in _OPTIONS.items():
        if name in other_names and own_name in known:
            return f"Did you mean {own_name}?"
    # All of the advice is for training.
    if "--epochs" in known:
        for advice, other_names in _ADVICE.items():
            if name in other_names:
                return advice
    return ""
