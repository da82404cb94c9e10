"""How a server answers: limits and sizes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ServeOptions:
    """Limits of a server. Sizes are of each version of a model, unless it says otherwise."""

    max_batch_size: int = 32
    """Most rows of a call of the model. Requests that wait are joined up to it, and larger ones are split."""
    batch_timeout: float = 0.0
    """Seconds that a call waits for more rows. With 0 it takes what waits already."""
    threads: int = 1
    """Calls of the model at the same time."""
    max_queue: int = 256
    """Requests that wait or are computed; another one is refused."""
    max_body: int = 16 * 2**20
    """Most bytes of a request's body. While Python reads the JSON of one, the server does nothing else."""
    request_timeout: float = 60.0
    """Seconds for a request, from its first byte to the answer of the model."""
    log_requests: bool = False
    """Whether each request is a line of the log."""
    max_streams: int = 16
    """Texts that are written at the same time, over all models."""
    max_new_tokens: int = 1024
    """Most tokens of a text that a request may ask for."""
    versions: int = 1
    """How many of the newest versions of a model answer; 0 stands for all."""
    poll_seconds: float = 2.0
    """Seconds between two looks for new versions; 0 stands for none."""
    trust: bool = False
    """Whether SavedModels are loaded that are not known to be harmless."""
    checkpoint: str = "last"
    """The weights of runs to use."""
