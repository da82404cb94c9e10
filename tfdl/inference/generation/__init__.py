"""Writing texts with trained models: sampling, beam search, stop strings, texts as they come."""

from typing import TYPE_CHECKING

from tfdl.lazy import lazy_names

_PUBLIC = {
    "GeneratedText": "tfdl.inference.generation.generated_text",
    "Generator": "tfdl.inference.generation.generator",
    "Sampler": "tfdl.inference.generation.samplers.sampler",
}

__all__ = sorted(_PUBLIC)

if TYPE_CHECKING:
    from tfdl.inference.generation.generated_text import GeneratedText as GeneratedText
    from tfdl.inference.generation.generator import Generator as Generator
    from tfdl.inference.generation.samplers.sampler import Sampler as Sampler


__getattr__ = lazy_names(__name__, _PUBLIC)
