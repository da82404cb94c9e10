"""A data set's downloads, taken from a folder of the user's and compared with the hashes that TFDS has of them."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import tensorflow_datasets as tfds

from tfdl.errors import UserError


class UserFiles:
    """Finds a data set's downloads among the files below a folder: by size and SHA-256, whatever they are called.

    Args:
        folder: where the user's files are, in folders of it too.
        name: the data set, for messages.
        url_infos: URL -> what TFDS has on record: ``size``, ``checksum`` and perhaps ``filename``.
    """

    def __init__(self, folder: Path, name: str, url_infos: dict[str, Any]):
        self._folder, self._name, self._url_infos = folder, name, url_infos
        self._hashes: dict[Path, str] = {}

    def find(self, url: str) -> Path:
        """The user's copy of a download.

        Raises:
            UserError: no such file, another file of its name, or nothing on record to know it by.
        """
        info = self._url_infos.get(url)
        if info is None:
            raise UserError(
                f"data set {self._name!r} needs {url}, and TFDS has no hash to know your copy by; prepare it with a"
                " network"
            )
        for path in self._files:
            if path.stat().st_size == int(info.size) and self._sha256(path) == info.checksum:
                return path
        wanted = file_name(url, info)
        for path in self._files:
            if path.name == wanted:
                raise self._wrong(path, info)
        raise UserError(
            f"no file {wanted!r} in {self._folder}, nor one with its contents, and data set {self._name!r} needs it:"
            f" {int(info.size):,} bytes with SHA-256 {info.checksum}, from {url}"
        )

    def check_names(self) -> None:
        """Of files that a builder reads by their names, compares those whose hashes TFDS has.

        Raises:
            UserError: a file of the name of a download that is another file.
        """
        known: dict[str, list[Any]] = {}
        for url, info in self._url_infos.items():
            known.setdefault(file_name(url, info), []).append(info)
        for path in self._folder.iterdir():
            infos = known.get(path.name)
            if infos and path.is_file() and self._sha256(path) not in [info.checksum for info in infos]:
                raise self._wrong(path, infos[0])

    def _wrong(self, path: Path, info: Any) -> UserError:
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
    """What a download is called on the user's disk, as far as is known."""
    return str(info.filename or unquote(urlsplit(url).path).rsplit("/", 1)[-1])


class LocalDownloads(tfds.download.DownloadManager):
    """Finds what a builder asks for among the user's files, and asks no network; unpacking is TFDS's own.

    Args:
        files: the user's.
        links: a folder where each file that is used gets a link of a name that no other has: TFDS knows by the name
            alone what it has unpacked already.
        options: as of TFDS's manager.
    """

    def __init__(self, files: UserFiles, links: Path, **options: Any):
        super().__init__(**options)
        self._files, self._links = files, links

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
        resource = url if isinstance(url, tfds.download.Resource) else tfds.download.Resource(url=url)
        path = self._files.find(resource.url)
        ending = file_name(resource.url, self._url_infos[resource.url]) or path.name  # tells how it is packed
        link = self._links / f"{hashlib.sha256(resource.url.encode()).hexdigest()[:12]}-{ending}"
        if not link.is_symlink():
            link.symlink_to(path)
        resource.path = tfds.core.Path(link)
        return resource


def take_downloads_from(folder: Path, builder: Any, name: str, links: Path) -> None:
    """Makes the builder take every download from the folder.

    Args:
        folder: the user's files.
        builder: as yet unprepared.
        name: the data set, for messages.
        links: a new folder for links to the files that are used.
    """
    files = UserFiles(folder, name, builder.url_infos or {})
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        files.check_names()
    links.mkdir(parents=True)

    def make_download_manager(download_dir: Any, download_config: Any) -> Any:
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
    """The function at every leaf of nested dictionaries, lists and tuples."""
    if isinstance(tree, dict):
        return {key: _map(function, value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)([_map(function, value) for value in tree])
    return function(tree)
