"""An object store on this machine: moto's server, reached by real clients over HTTP; a proxy that spoils answers."""

from __future__ import annotations

import contextlib
import http.client
import logging
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
from moto.server import ThreadedMotoServer
from pyarrow import fs

SECRET = "a-secret-that-nobody-may-see"
BUCKET = "prices"


class ObjectStore:
    """A running server with one bucket.

    Attributes
    ----------
    endpoint : str
    variables : mapping of str to str
        The environment of a process that uses it.
    client
        Of boto3.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.variables = {
            "AWS_ACCESS_KEY_ID": "test-key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test-key",
            aws_secret_access_key=SECRET,
        )

    def ask(self, path: str, data: bytes = b"") -> None:
        """Tell the server itself something."""
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.endpoint}{path}", data=data, headers=headers, method="POST")
        with urllib.request.urlopen(request) as done:
            assert done.status == 200

    def upload(self, path: Path, key: str) -> str:
        """Put a file, or all files of a folder, and return its URL."""
        for file in [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()):
            name = key if path.is_file() else f"{key}/{file.relative_to(path)}"
            self.client.upload_file(str(file), BUCKET, name)
        return f"s3://{BUCKET}/{key}"

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def listed(self, prefix: str = "") -> list[str]:
        """Every key, also of what stands for a folder."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def content(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def uploads(self) -> list[str]:
        """The keys of uploads that were begun and not ended."""
        return [one["Key"] for one in self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())]

    def arrow(self) -> fs.S3FileSystem:
        return fs.S3FileSystem(
            endpoint_override=self.endpoint, region="us-east-1", access_key="test-key", secret_key=SECRET
        )


@contextlib.contextmanager
def running() -> Iterator[ObjectStore]:
    """Provide a server with an empty bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        host, port = server.get_host_and_port()
        store = ObjectStore(f"http://{host}:{port}")
        store.client.create_bucket(Bucket=BUCKET)
        yield store
    finally:
        server.stop()


#: Takes the method, the path and the number of requests so far; tells what becomes of the request.
Spoil = Callable[[str, str, int], str]
PASS, BUSY, CUT = "pass", "busy", "cut"
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@contextlib.contextmanager
def spoiled(store: ObjectStore, spoil: Spoil) -> Iterator[tuple[str, list[str]]]:
    """Provide an endpoint that answers for a store as `spoil` says, and a list of what was spoiled.

    `BUSY` is answered with 503, of `CUT` the connection ends in the middle of the answer's body.
    """
    lock, seen, hit = threading.Lock(), [0], list[str]()
    host = store.endpoint.removeprefix("http://")

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            with lock:
                seen[0] += 1
                fate = spoil(self.command, self.path, seen[0])
                if fate != PASS:
                    hit.append(f"{self.command} {self.path}")
            body = self.body()
            if fate == BUSY:
                self.send_response(503)
                self.send_header("Content-Length", str(len(_SLOW_DOWN)))
                self.send_header("Content-Type", "application/xml")
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else _SLOW_DOWN)
                return
            upstream = http.client.HTTPConnection(host, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
            upstream.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
            got = upstream.getresponse()
            content = got.read()
            self.send_response(got.status)
            for name, value in got.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                    self.send_header(name, value)
            length = got.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if fate == CUT:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.connection.close()
                self.close_connection = True
                return
            self.wfile.write(content)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            blocks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                blocks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(blocks)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", hit
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def rows_of(store: ObjectStore, output: str) -> pa.Table:
    """The rows of an output, by the manifest and Arrow alone."""
    import json

    import pyarrow.parquet as pq

    files = json.loads(store.content(f"{output}/manifest.json"))["files"]
    arrow = store.arrow()
    return pa.concat_tables([pq.read_table(url.removeprefix("s3://"), filesystem=arrow) for url in files])
