"""Reads and writes the key-value store that rank 0 provides while ranks of srun start."""

import urllib.error
import urllib.request
from http.client import HTTPException

SCOPE = "tfdl"
"""The part of the store that has tfdl's keys; Horovod uses others."""

_REQUEST_SECONDS = 5.0


class StoreClient:
    """Rank 0's key-value store, as another rank sees it.

    Args:
        address: rank 0's address.
        port: of the store.
    """

    def __init__(self, address: str, port: int):
        self._url = f"http://{address}:{port}/{SCOPE}"
        # Without the user's HTTP proxy: rank 0 is on the job's own network.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def get(self, key: str) -> str:
        """Returns a key's value; empty if there is none.

        Raises:
            OSError: the store does not answer.
        """
        try:
            with self._open(f"{self._url}/{key}", timeout=_REQUEST_SECONDS) as response:
                return str(response.read().decode(errors="replace"))
        except urllib.error.HTTPError:
            return ""
        except HTTPException as error:  # another program has the port
            raise OSError(str(error) or type(error).__name__) from error

    def put(self, key: str, value: str) -> None:
        """Sets a key's value.

        Raises:
            OSError: the store does not answer.
        """
        request = urllib.request.Request(f"{self._url}/{key}", data=value.encode(), method="PUT")
        try:
            with self._open(request, timeout=_REQUEST_SECONDS):
                pass
        except HTTPException as error:
            raise OSError(str(error) or type(error).__name__) from error
