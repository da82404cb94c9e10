"""Writes texts with a trained model."""

from collections.abc import Iterator, Sequence
from typing import Any

from tfdl.config.samplers import SamplerConfig, choose_samplers
from tfdl.errors import UserError
from tfdl.inference.generation.beam_decoder import BeamDecoder
from tfdl.inference.generation.beam_writing import Search, search_texts
from tfdl.inference.generation.block_decoder import BlockDecoder
from tfdl.inference.generation.generated_text import GeneratedText
from tfdl.inference.generation.half_weights import HalfWeightsOfModel, WholeWeights
from tfdl.inference.generation.prompts import Prompt, check_counts, room_for, tokenized
from tfdl.inference.generation.row import Row
from tfdl.inference.generation.samplers.chain import SamplerChain
from tfdl.inference.generation.steppers.choice import stepper_for
from tfdl.inference.generation.text_stream import TextStream
from tfdl.inference.generation.writing import OnText, write
from tfdl.tasks.beam_search import DEFAULT_LENGTH_PENALTY, check_search
from tfdl.tasks.task import Task, TextTask


class Generator:
    """Writes texts with a language model, or translations with an encoder-decoder.

    Tokens are decoded in blocks, each by one call of a compiled graph. The keys and values of the tokens before, or the
    state of a recurrent model, pass from one call to the next. A text depends neither on the size of a block nor on the
    other texts of its batch.

    Args:
        model: the trained model.
        task: its task, for instance of ``tfdl.runs.load_run``.
        batch_size: most texts that are written at the same time; each hypothesis of a beam search counts.
        block_size: most tokens of a block. Between blocks, texts are reported and stop strings are found.
        xla: whether XLA compiles the blocks. That takes seconds for each number of texts and each doubling of their
            length, and pays for long texts in batches.
        weights: ``"float32"``, the model's own, or ``"bfloat16"``: copies in bfloat16, which take half of the time to
            read. Changing the model's weights does not change the copies.

    Raises:
        UserError: the task writes no texts, or other weights were asked for.
    """

    def __init__(
        self,
        model: Any,
        task: Task,
        *,
        batch_size: int = 8,
        block_size: int = 32,
        xla: bool = False,
        weights: str = "float32",
    ):
        self._stepper = stepper_for(model, task)
        assert isinstance(task, TextTask)
        self._task = task
        self._end_id = task.tokenizer.end_id
        self._batch_size = batch_size
        self._block_size = block_size
        self._xla = xla
        self._decoders: dict[str, Any] = {}
        self._weights = _weights_of(model, weights, xla)

    @property
    def continues_prompts(self) -> bool:
        """Whether texts continue their prompts, rather than translate them."""
        return self._stepper.continues_prompt

    @property
    def num_positions(self) -> int | None:
        """Most tokens of a text, with its prompt and the token before it; of a translation those that are written. None
        for a model without such a limit."""
        return self._stepper.longest

    def prompt(self, text: str) -> Prompt:
        """Tokenizes and checks a prompt.

        Args:
            text: the prompt.

        Raises:
            UserError: an empty prompt, or one that is too long for the model.
        """
        return tokenized(text, self._task, self._stepper)

    def generate(self, prompts: str | Sequence[str], **options: Any) -> list[GeneratedText]:
        """Writes texts.

        Args:
            prompts: one text to continue, or several; for an encoder-decoder, texts to translate.
            **options: as for ``stream``.

        Returns:
            ``num_samples`` texts for each prompt, in the prompts' order.

        Raises:
            UserError: a prompt, a sampler or a number that cannot be used.
        """
        return list(self.stream(prompts, **options))

    def stream(
        self,
        prompts: str | Sequence[str],
        *,
        max_new_tokens: int = 100,
        samplers: Any = (),
        beams: int = 1,
        length_penalty: float = DEFAULT_LENGTH_PENALTY,
        stop: Sequence[str] = (),
        seed: int = 0,
        num_samples: int = 1,
        on_text: OnText | None = None,
    ) -> Iterator[GeneratedText]:
        """As ``generate``, and yields the texts of a batch when the batch is done.

        Args:
            prompts: as for ``generate``.
            max_new_tokens: most tokens of a text.
            samplers: names, mappings of ``name`` and fields, or configurations of samplers, in the order in which they
                act: ``["top_k", {"name": "random", "temperature": 0.8}]``. Without one that draws at random, each token
                is the most likely one.
            beams: search the likeliest text with so many hypotheses. The samplers must not draw.
            length_penalty: exponent of the length penalty of beams (Wu et al., 2016).
            stop: a text ends before the first of these strings; not with beams.
            seed: of the random numbers. A prompt gets the same texts for the same seed.
            num_samples: texts for each prompt; with beams the best ones, at most as many as beams.
            on_text: called with the number of a text and its next piece, as the texts are written. With beams, a text
                is one piece.
        """
        check_counts(max_new_tokens, num_samples, seed, stop)
        check_search(beams, length_penalty)
        configs = choose_samplers(samplers)
        if num_samples > 1 and beams == 1 and not any(config.draws for config in configs):
            raise UserError(
                f"num_samples={num_samples}, but every token is the most likely one, so all would be equal; give a"
                " temperature or another sampler that draws, or beams"
            )
        ready = [self.prompt(text) for text in ([prompts] if isinstance(prompts, str) else prompts)]
        report = on_text or _ignore
        if beams > 1:
            _check_beams(configs, beams, num_samples, stop)
            yield from self._search(ready, max_new_tokens, configs, beams, length_penalty, num_samples, report)
            return
        rows: list[Row] = []
        for prompt in ready:
            room, at_most = room_for(prompt, max_new_tokens, self._stepper)
            for sample in range(num_samples):
                stream = TextStream(self._task.tokenizer.decode, prompt.written, stop)
                rows.append(Row(len(rows), prompt, sample, seed, room, at_most, stream))
        decoder = self._block_decoder(configs)
        for first in range(0, len(rows), self._batch_size):
            batch = rows[first : first + self._batch_size]
            with self._weights.in_use():
                write(batch, self._stepper, decoder, self._block_size, report)
            yield from (row.result() for row in batch)

    def _search(
        self,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        configs: Sequence[SamplerConfig],
        beams: int,
        exponent: float,
        num_texts: int,
        on_text: OnText,
    ) -> Iterator[GeneratedText]:
        searches = [Search(prompt, *room_for(prompt, max_new_tokens, self._stepper)) for prompt in prompts]
        decoder = self._beam_decoder(configs, beams, exponent)
        batch_size = max(1, self._batch_size // beams)
        number = 0
        for first in range(0, len(searches), batch_size):
            batch = searches[first : first + batch_size]
            with self._weights.in_use():
                found = search_texts(
                    batch, self._stepper, decoder, self._block_size, num_texts, self._text_of, self._end_id
                )
            for texts in found:
                for text in texts:
                    on_text(number, text.text)
                    number += 1
                    yield text

    def _text_of(self, prompt: Prompt, tokens: Sequence[int]) -> str:
        stream = TextStream(self._task.tokenizer.decode, prompt.written)
        stream.add(tokens)
        stream.finish()
        return stream.text

    def _block_decoder(self, configs: Sequence[SamplerConfig]) -> BlockDecoder:
        """The decoder of a chain of samplers, whose graph is kept."""
        key = repr(configs)
        if key not in self._decoders:
            self._decoders[key] = BlockDecoder(self._stepper, SamplerChain(configs), self._end_id, xla=self._xla)
        decoder: BlockDecoder = self._decoders[key]
        return decoder

    def _beam_decoder(self, configs: Sequence[SamplerConfig], beams: int, exponent: float) -> BeamDecoder:
        key = repr((configs, beams, exponent))
        if key not in self._decoders:
            chain = SamplerChain(configs)
            self._decoders[key] = BeamDecoder(self._stepper, chain, self._end_id, beams, exponent)
        decoder: BeamDecoder = self._decoders[key]
        return decoder


def _weights_of(model: Any, weights: str, xla: bool) -> HalfWeightsOfModel | WholeWeights:
    if weights == "float32":
        return WholeWeights()
    if weights != "bfloat16":
        raise UserError(f"weights={weights!r}, expected float32 or bfloat16")
    if xla:
        raise UserError("weights=bfloat16 and xla, which has no fast product for them; pass one of them, not both")
    return HalfWeightsOfModel(model)


def _check_beams(configs: Sequence[SamplerConfig], beams: int, num_samples: int, stop: Sequence[str]) -> None:
    drawing = [config.name for config in configs if config.draws]
    if drawing:
        raise UserError(
            f"beams={beams} and the sampler {drawing[0]}, which draws at random; pass one of them, not both"
        )
    if num_samples > beams:
        raise UserError(f"num_samples={num_samples}, expected at most beams={beams}")
    if stop:
        raise UserError(f"beams={beams} and the stop string {stop[0]!r}; pass one of them, not both")


def _ignore(number: int, piece: str) -> None:
    pass
