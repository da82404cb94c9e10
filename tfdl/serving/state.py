"""Everything that a server has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tfdl.serving.body_room import BodyRoom
from tfdl.serving.errors import NOT_FOUND, RequestError
from tfdl.serving.metrics import Metrics
from tfdl.serving.model import Model
from tfdl.serving.options import ServeOptions
from tfdl.serving.streams import Streams


@dataclass(eq=False)
class ServerState:
    """The models of a server, and what it counts."""

    models: Mapping[str, Model]
    options: ServeOptions
    metrics: Metrics
    streams: Streams
    bodies: BodyRoom
    is_draining: bool = field(default=False)
    """Whether the server is ending: it answers the requests that it has, and takes no others."""

    def model(self, name: str) -> Model:
        """A model by name.

        Args:
            name: in the address.

        Raises:
            RequestError: there is no such model.
        """
        if name in self.models:
            return self.models[name]
        shown = ascii(name[:80])
        raise RequestError(NOT_FOUND, f"there is no model {shown}, expected one of {', '.join(self.models)}")
