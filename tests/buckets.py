"""A bucket on this machine that speaks as much of the protocol of S3 as reading takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest
from pictures import ramp, write

from lightning_inv.data import RemoteImages

NAMES = ["b.png", "a/z.jpg", "a/z.png", "a/c d/e/f/g/h/i/ü ñ.png", "雪.png", *(f"{i}.png" for i in range(14))]
BUCKET = "s3://mine/set/images"
PAGE = 3
"""Objects that one answer lists; the next answer goes on."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        objects = self.server.buckets.get(bucket)
        if objects is None:
            self._answer(404, b"<Error><Code>NoSuchBucket</Code><Message>No such bucket</Message></Error>")
        elif not key:
            self._answer(200, self._listed(bucket, objects, parse_qs(url.query)))
        elif key in objects:
            self.server.asked.append((key, self.headers.get("User-Agent", "")))
            self._answer(200, objects[key])
        else:
            self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>No such key</Message></Error>")

    do_HEAD = do_GET

    def _listed(self, bucket: str, objects: dict[str, bytes], query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        keys = sorted((key for key in objects if key.startswith(prefix)), key=str.encode)
        first = int(query.get("continuation-token", ["0"])[0])
        page, more = keys[first : first + PAGE], len(keys) > first + PAGE
        found = "".join(
            f"<Contents><Key>{quote(key, safe='/')}</Key><Size>{len(objects[key])}</Size></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{first + PAGE}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount>"
            f"<EncodingType>url</EncodingType><IsTruncated>{str(more).lower()}</IsTruncated>{token}{found}"
            "</ListBucketResult>"
        ).encode()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(buckets: dict[str, dict[str, bytes]], patch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """Serves objects by bucket and key; the environment leads clients of S3 there.

    The server tells in ``asked`` the objects that were asked for, and the client of each.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.buckets, server.asked = buckets, []
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        patch.setenv(name, value)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def written(path: Path) -> Path:
    """A folder of pictures, each another, and of files that are none."""
    for i, name in enumerate(NAMES):
        write(path / name, ramp(8, 9 + i))
    write(path / ".hidden.png")
    (path / "notes.txt").write_text("not a picture")
    return path


@contextmanager
def opened(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """The files of a folder in a bucket, and one beside their place that is not asked for."""
    files = (path for path in folder.rglob("*") if path.is_file())
    objects = {f"set/images/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in files}
    with served({"mine": {**objects, "set/images/": b"", "set/images2/x.png": b""}}, patch) as server:
        from litdata.streaming import downloader

        # litdata lets obstore refuse servers without encryption.
        patch.setitem(downloader._OBSTORE_CLIENT_OPTIONS, "allow_http", True)
        patch.setattr("lightning_inv.data.storage._endpoint", lambda: "https://")
        yield server


def remote(root: str, **settings: Any) -> RemoteImages:
    return RemoteImages(root, 8, 1, 0.2, **settings)
