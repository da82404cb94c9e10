"""A data set's downloads from a folder of the user, compared with the hashes that TFDS has of them."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tensorflow_datasets as tfds

from tfdl.errors import UserError


class UserFiles:
    """Finds a data set's downloads among the files below a folder, by size and SHA-256; their names do not matter.

    Args:
        folder: where the user's files are, at any depth.
        name: the data set, for messages.
        url_infos: URL -> TFDS's record of the file: ``size``, ``checksum`` and perhaps ``filename``.
    """

    def __init__(self, folder: Path, name: str, url_infos: dict[str, Any]):
        self._folder = folder
        self._name = name
        self._url_infos = url_infos
        self._hashes: dict[Path, str] = {}

    def find(self, url: str) -> Path:
        """The user's copy of a download.

        Raises:
            UserError: no such file, a file of its name with other contents, or no hash to compare it with.
        """
        info = self._url_infos.get(url)
        if info is None:
            raise UserError(
                f"data set {self._name!r} needs {url}, and TFDS has no hash to compare your copy with; prepare it with"
                " a network"
            )
        for path in self._files:
            if path.stat().st_size == int(info.size) and self._sha256(path) == info.checksum:
                return path
        name = file_name(url, info)
        for path in self._files:
            if path.name == name:
                raise self._wrong_contents(path, info)
        raise UserError(
            f"no file {name!r} in {self._folder}, nor one with its contents, and data set {self._name!r} needs it:"
            f" {int(info.size):,} bytes with SHA-256 {info.checksum}, from {url}"
        )

    def check_names(self) -> None:
        """Checks the files that a builder reads by their names, if TFDS has hashes of them.

        Raises:
            UserError: a file has the name of a download and other contents.
        """
        records: dict[str, list[Any]] = {}  # several downloads may have the same name
        for url, info in self._url_infos.items():
            records.setdefault(file_name(url, info), []).append(info)
        for path in self._folder.iterdir():
            infos = records.get(path.name)
            if infos is None or not path.is_file():
                continue
            if self._sha256(path) not in [info.checksum for info in infos]:
                raise self._wrong_contents(path, infos[0])

    def _wrong_contents(self, path: Path, info: Any) -> UserError:
        return UserError(
            f"{path} is not the file that data set {self._name!r} is made from: expected {int(info.size):,} bytes with"
            f" SHA-256 {info.checksum}, found {path.stat().st_size:,} bytes with SHA-256 {self._sha256(path)}"
        )

    @cached_property
    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.rglob("*") if path.is_file())

    def _sha256(self, path: Path) -> str:
        if path not in self._hashes:
            with path.open("rb") as file:
                self._hashes[path] = hashlib.file_digest(file, "sha256").hexdigest()
        return self._hashes[path]


def file_name(url: str, info: Any) -> str:
    """The name that a downloaded file is likely to have: TFDS's, or else the last part of its address.

    Args:
        url: its address.
        info: TFDS's record of the file.
    """
    if info.filename:
        return str(info.filename)
    return unquote(urlsplit(url).path).rsplit("/", 1)[-1]


class LocalDownloads(tfds.download.DownloadManager):
    """TFDS's download manager without a network: it takes downloads from the user's files, and unpacks them as usual.

    Args:
        files: the user's files.
        links: a folder for links to the files that are used. Each link has a unique name, since TFDS recognizes an
            unpacked archive by its name alone.
        options: arguments of TFDS's manager.
    """

    def __init__(self, files: UserFiles, links: Path, **options: Any):
        super().__init__(**options)
        self._files = files
        self._links = links

    def download(self, url_or_urls: Any) -> Any:
        return _map(lambda url: self._linked(url).path, url_or_urls)

    def download_and_extract(self, url_or_urls: Any) -> Any:
        return self.extract(_map(self._linked, url_or_urls))

    def download_kaggle_data(self, competition_or_dataset: str) -> Any:
        raise UserError(
            f"{competition_or_dataset!r} is downloaded by Kaggle's own program, expected a data set of files with"
            " addresses; prepare it with a network"
        )

    def _linked(self, url: Any) -> Any:
        """A link to the user's copy of a download, as TFDS's ``Resource``."""
        resource = url if isinstance(url, tfds.download.Resource) else tfds.download.Resource(url=url)
        path = self._files.find(resource.url)
        # The link keeps the file's name, since its ending shows how the file is packed.
        name = file_name(resource.url, self._url_infos[resource.url]) or path.name
        digest = hashlib.sha256(resource.url.encode()).hexdigest()
        link = self._links / f"{digest[:12]}-{name}"
        if not link.is_symlink():
            link.symlink_to(path)
        resource.path = tfds.core.Path(link)
        return resource


def take_downloads_from(folder: Path, builder: Any, name: str, links: Path) -> None:
    """Makes the builder take every download from the folder.

    Args:
        folder: the user's files.
        builder: of a data set that is not prepared yet.
        name: the data set, for messages.
        links: a new folder for links to the files that are used.
    """
    files = UserFiles(folder, name, builder.url_infos or {})
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        files.check_names()
    links.mkdir(parents=True)

    def make_download_manager(download_dir: Any, download_config: Any) -> Any:
        """Replaces the builder's method of this name."""
        return LocalDownloads(
            files,
            links,
            download_dir=download_dir or links,
            extract_dir=download_config.extract_dir,
            manual_dir=download_config.manual_dir,
            manual_dir_instructions=builder.MANUAL_DOWNLOAD_INSTRUCTIONS,
            url_infos=builder.url_infos,
            dataset_name=builder.name,
        )

    builder._make_download_manager = make_download_manager  # TFDS has no public way to give it one


def _map(function: Any, tree: Any) -> Any:
    """Applies the function to every leaf of nested dictionaries, lists and tuples."""
    if isinstance(tree, dict):
        return {key: _map(function, value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)([_map(function, value) for value in tree])
    return function(tree)
