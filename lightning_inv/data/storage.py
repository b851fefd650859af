"""Image files of a bucket or a folder: listed once, read as they are needed.

litdata reads them; nothing of them is unpickled, and nothing is written where they are. Its own list of files
is not used: it is put beside the images, leaves out deep folders of buckets, and is believed when it is old.
"""

import io
import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from torch.utils.data import get_worker_info

from lightning_inv.data.contents import FileContents
from lightning_inv.data.image_files import SUFFIXES, find_images
from lightning_inv.regular import read_regular

if TYPE_CHECKING:
    from litdata.raw import FileMetadata

CONNECTIONS = 16
"""Files that are read at once where obstore does not read them."""
LONGEST = 2**30
"""The bytes of a list of images, at most."""


class StoredImages:
    """The image files of a place, in the order of their names.

    Args:
        root: ``s3://bucket/images``, ``gs://bucket/images`` or a folder.
        listing: A file that keeps their names and sizes. The first process that finds none makes it, whole
            and once; all believe it. If None, each process looks for files.
        forks: Whether processes are forked from this one to read files, too.

    Raises:
        ImportError: litdata is missing.
        OSError: There is no such place, or no image in it.
        ValueError: The place is of another kind, a name is no path, or the listing is of another place.
    """

    def __init__(self, root: str, listing: str | None, forks: bool) -> None:
        try:
            from litdata import StreamingRawDataset
            from litdata.raw import FileMetadata
            from litdata.streaming.resolver import Dir
        except ImportError:
            raise ImportError("RemoteImages needs litdata: pip install 'lightning_inv[remote]'.") from None
        scheme, remote, _ = root.partition("://")
        if remote and scheme not in ("s3", "gs"):
            raise ValueError(f"data.root must be a folder, s3://... or gs://..., got {root}.")
        self.root = root.rstrip("/") if remote else str(Path(root).expanduser().absolute())
        self.remote, self.forks = bool(remote), forks
        self.listing = None if listing is None else Path(listing).expanduser()
        self.plain = scheme == "s3" and _endpoint().startswith("http:")
        sizes = self._sizes()
        self.names = sorted(sizes)
        found = [FileMetadata(f"{self.root}/{name}", sizes[name]) for name in self.names]
        place = Dir(url=self.root) if remote else Dir(path=self.root)
        self.files = StreamingRawDataset(
            place, tempfile.gettempdir(), indexer=_Found(found), max_prefetch=0
        )  # the folder stays empty

    def size(self, index: int) -> int:
        """The bytes of a file when it was listed."""
        return self.files.items[index].size

    def read(self, indices: Sequence[int]) -> list[FileContents]:
        """What files hold, read at once.

        Raises:
            OSError: One cannot be read, or has another size than it was listed with.
        """
        items = [self.files.items[i] for i in indices]
        for path in () if self.remote else (item.path for item in items):
            if os.path.exists(path) and not os.path.isfile(path):  # a pipe, of which nobody sees the end
                raise OSError(self._gone(f"{path} is no regular file."))
        if self.remote and self.forks and get_worker_info() is None:
            contents = [self._read(item, threads=False) for item in items]
        elif self._without_obstore():
            with ThreadPoolExecutor(CONNECTIONS) as pool:
                contents = list(pool.map(self._read, items))
        else:
            try:
                contents = self.files.__getitems__(list(indices))
            except Exception as error:  # of any library of any kind of storage; it names the file
                raise OSError(self._gone(_first_line(error))) from error
        for item, found in zip(items, contents, strict=True):
            if len(found) != item.size:
                sizes = f"it was listed with {item.size} bytes, and has {len(found)}."
                raise OSError(self._gone(f"{item.path} has changed: {sizes}"))
        return [FileContents(item.path, found) for item, found in zip(items, contents, strict=True)]

    def _without_obstore(self) -> bool:
        """Whether files are read by the library of the provider, which is slower.

        The threads of obstore do not outlive a fork; it refuses addresses without encryption.
        """
        from litdata.streaming.downloader import obstore_usable

        return self.remote and (self.plain or not obstore_usable())

    def _read(self, item: "FileMetadata", threads: bool = True) -> bytes:
        """What a file holds, from the library of the provider.

        Args:
            item: The file.
            threads: Whether threads may read it. Not in a process that forks others: a thread that ends holds
                a lock of OpenSSL, and in a process that is forked then nobody would ever release it.
        """
        downloader, contents = self.files.cache_manager.downloader, io.BytesIO()
        try:
            if not threads:
                return downloader.download_bytes(item.path, 0, item.size, "")
            downloader.download_fileobj(item.path, contents)
        except Exception as error:  # as in ``read``
            raise OSError(self._gone(f"Error downloading file {item.path}: {_first_line(error)}")) from error
        return contents.getvalue()

    def _gone(self, why: str) -> str:
        """Why a file cannot be read, and what to do if it is no longer as it was listed."""
        again = "start again" if self.listing is None else f"delete {self.listing} and start again"
        return f"{why} If images were removed or replaced, {again}, so that they are listed anew."

    def _sizes(self) -> dict[str, int]:
        """The bytes of each image file, by its path in the place."""
        if self.listing is None:
            return self._listed()
        if not self.listing.exists():
            _publish(self.listing, {"root": self.root, "files": self._listed()})
        try:
            known = json.loads(read_regular(self.listing, LONGEST))
            root, files = known["root"], {str(name): int(size) for name, size in known["files"].items()}
        except (ArithmeticError, ValueError, TypeError, KeyError, AttributeError):
            raise ValueError(f"{self.listing} is no list of images; delete it, or name another.") from None
        if root != self.root:
            raise ValueError(f"{self.listing} lists the images of {root}, not of {self.root}.")
        return self._checked(files)

    def _listed(self) -> dict[str, int]:
        """As ``_sizes``, looked for."""
        if not self.remote:
            root = Path(self.root)
            return {file.relative_to(root).as_posix(): file.stat().st_size for file in find_images(root)}
        try:
            found = _list_s3(self.root) if self.root.startswith("s3:") else _list_gs(self.root)
        except Exception as error:  # of any library of any kind of storage
            raise OSError(f"the files of {self.root} cannot be listed: {_first_line(error)}") from error
        return self._checked({name: size for name, size in found.items() if _is_image(name)})

    def _checked(self, sizes: dict[str, int]) -> dict[str, int]:
        if not sizes:
            raise FileNotFoundError(f"no image ({', '.join(sorted(SUFFIXES))}) in {self.root} or below.")
        for name in sizes:
            if {"", ".", ".."} & set(name.split("/")):  # names of results are made of it
                raise ValueError(f"the name {name!r} of an image in {self.root} is no path within it.")
            if not _is_image(name):
                raise ValueError(f"{name!r} in {self.listing} is no image ({', '.join(sorted(SUFFIXES))}).")
            if self.remote and set("?#") & set(name):
                raise ValueError(
                    f"the name {name!r} of an image in {self.root} has a ? or #, where litdata ends it."
                )
        return sizes


class _Found:
    """Gives litdata the files that were found."""

    def __init__(self, files: list["FileMetadata"]) -> None:
        self.files = files

    def build_or_load_index(self, *_: Any) -> list["FileMetadata"]:
        return self.files


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not name.endswith("/")


def _first_line(error: Exception) -> str:
    """What an error says, without what is for those who search for its cause."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].removesuffix(".") + "."


def _s3() -> Any:
    """A client of S3, which gives up sooner than that of litdata, which tries a thousand times."""
    import boto3

    try:
        return boto3.Session().client("s3")
    except Exception as error:
        raise OSError(f"S3 cannot be asked: {_first_line(error)}") from error


def _endpoint() -> str:
    return _s3().meta.endpoint_url


def _list_s3(root: str) -> dict[str, int]:
    """The bytes of each object below a place of S3, by its key from there on."""
    bucket, _, folder = root.removeprefix("s3://").partition("/")
    prefix = f"{folder}/" if folder else ""
    pages = _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    objects = (found for page in pages for found in page.get("Contents", ()))
    return {found["Key"].removeprefix(prefix): found["Size"] for found in objects}


def _list_gs(root: str) -> dict[str, int]:
    """As ``_list_s3``, of Google; fsspec lists it."""
    from litdata.raw.indexer import FileIndexer

    found = FileIndexer(max_depth=None).discover_files(root, None)
    return {file.path.removeprefix(f"{root}/"): file.size for file in found}


def _publish(path: Path, listing: dict[str, Any]) -> None:
    """Writes a list of files unless another process has done so: the first one stays, and is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{path.name}.{uuid4().hex[:8]}.part"
    try:
        part.write_text(json.dumps(listing))
        os.link(part, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
