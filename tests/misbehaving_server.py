"""A server of files on this machine that does what real ones do on bad days."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATE = formatdate(0, usegmt=True)


class MisbehavingServer(ThreadingHTTPServer):
    """Serves ``files``; every request takes the next of ``moods``, and is good without one.

    Moods: ``truncate`` and ``stall`` after half of what is asked for, ``corrupt`` a byte, ``whole``
    (ignores Range), ``shifted`` (another range than asked for), ``versionless`` (no ETag),
    ``weak`` (a weak ETag and a date), ``unbounded`` (no Content-Length), a status such as ``500``,
    or a place to redirect to.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.moods: list[str] = []
        self.version = '"1"'
        self.asked: list[tuple[str, str | None]] = []
        self.sent = 0
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    server: MisbehavingServer

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append((self.path, asked))
        mood = server.moods.pop(0) if server.moods else ""
        if mood.isdigit() or self.path not in server.files:
            self.send_error(int(mood or 404))
            return
        if ":" in mood or mood.startswith("/"):
            self.send_response(302)
            self.send_header("Location", mood)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data, start = server.files[self.path], 0
        current = {"versionless": None, "weak": DATE}.get(mood, server.version)
        if asked and mood != "whole" and self.headers.get("If-Range") == current:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(data)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        if start:
            shown = start - 1 if mood == "shifted" else start
            self.send_header("Content-Range", f"bytes {shown}-{len(data) - 1}/{len(data)}")
        if mood == "weak":
            self.send_header("Last-Modified", DATE)
            self.send_header("ETag", "W/" + server.version)
        elif mood != "versionless":
            self.send_header("ETag", server.version)
        body = data[start:]
        if mood != "unbounded":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if mood == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        if mood in ("truncate", "stall"):
            body = body[: len(body) // 2]
        server.sent += len(body)  # before the client can have them and look
        self.wfile.write(body)
        self.wfile.flush()
        if mood == "stall":
            server.over.wait(20)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def misbehaving_server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
