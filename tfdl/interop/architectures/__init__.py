"""The architectures of other libraries that tfdl reads and writes, one file for each."""

from collections.abc import Mapping
from typing import Any

from tfdl.errors import UserError, nearest
from tfdl.interop.architectures.base import Architecture
from tfdl.interop.architectures.bert import BERT
from tfdl.interop.architectures.gpt2 import GPT2
from tfdl.interop.architectures.llama import LLAMA, MISTRAL, QWEN2
from tfdl.interop.architectures.resnet import RESNET, TORCHVISION_RESNET
from tfdl.interop.architectures.vit import VIT

ARCHITECTURES = {
    architecture.model_type: architecture
    for architecture in (GPT2, LLAMA, MISTRAL, QWEN2, BERT, VIT, RESNET, TORCHVISION_RESNET)
}
"""By ``model_type``. The first that a model fits is written."""
# What an architecture has not of a model that is no relative of it.
_OTHER_FAMILY = "model.name="


def architecture_of(config: Mapping[str, Any], path: str) -> Architecture:
    """The architecture that a config.json names.

    Args:
        config: its content.
        path: of the file, for messages.

    Raises:
        UserError: an architecture that tfdl does not read.
    """
    if config.get("quantization_config") is not None:
        raise UserError(f"{path!r} is of quantized weights, which tfdl does not read; take the model's float weights")
    model_type = config.get("model_type")
    if model_type is None and "architecture" in config:
        model_type = TORCHVISION_RESNET.model_type  # timm's files
    known = ", ".join(name for name in ARCHITECTURES if name != TORCHVISION_RESNET.model_type)
    if not isinstance(model_type, str) or model_type not in ARCHITECTURES:
        suggestion = nearest(str(model_type), ARCHITECTURES)
        raise UserError(f"{path!r} has model_type={model_type!r}, expected one of {known}.{suggestion}")
    architecture = ARCHITECTURES[model_type]
    named = config.get("architectures") or architecture.classes[:1]
    readable = (*architecture.classes, *architecture.headless)
    is_readable = isinstance(named, list | tuple) and bool({*map(str, named)} & {*readable})
    if readable and not is_readable:
        raise UserError(
            f"{path!r} is of {named!r}, expected {' or '.join(readable)}, which tfdl builds for {architecture.task}"
        )
    return architecture


def lacks_head(architecture: Architecture, config: Mapping[str, Any]) -> bool:
    """Whether files are of a class without the head of the task.

    Args:
        architecture: of the files.
        config: the content of config.json.
    """
    named = {*map(str, config.get("architectures") or ())}
    return bool(named & {*architecture.headless}) and not named & {*architecture.classes}


def architecture_for(model: Any, task: str) -> Architecture:
    """The architecture that has a tfdl model's computation.

    Args:
        model: the configuration of the model.
        task: of the run.

    Raises:
        UserError: there is none.
    """
    misfits = []
    for architecture in ARCHITECTURES.values():
        if architecture.task != task or not architecture.classes:
            continue
        misfit = architecture.misfit(model)
        if not misfit:
            return architecture
        misfits.append(f"{architecture.model_type} has no {misfit}")
    # Of an architecture of another family, no field needs to be named.
    fields = [misfit for misfit in misfits if _OTHER_FAMILY not in misfit]
    reason = "; ".join(fields) or f"transformers has no counterpart of it for the task {task}"
    raise UserError(
        f"the model {model.label!r} cannot be written for Hugging Face: {reason}; expected a decoder (GPT-2, Llama),"
        " BERT, ViT or a ResNet, as docs/pretrained.md describes them"
    )
