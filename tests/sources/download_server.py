"""A real HTTP server on the loopback interface that behaves as badly as it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"


class Handler(BaseHTTPRequestHandler):
    """Answers GET by the server's `behaviour`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.asked.append(self.path)
        with suppress(BrokenPipeError, ConnectionResetError):
            getattr(self, f"answer_{self.server.behaviour}")()

    def end_headers(self) -> None:
        self.send_header("Connection", "close")
        super().end_headers()

    def answer_well(self) -> None:
        self._send(200, self.server.content)

    def answer_chunked(self, last: bytes = b"0\r\n\r\n") -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = self.server.content
        for part in (body[:10], body[10:]):
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(last)

    def answer_chunked_cut(self) -> None:
        self.answer_chunked(last=b"")

    def answer_gzip(self) -> None:
        import gzip

        self._send(200, gzip.compress(self.server.content), ("Content-Encoding", "gzip"))

    def answer_truncated(self) -> None:
        self._send(200, self.server.content[:-7], length=len(self.server.content))

    def answer_reset(self) -> None:
        self.connection.close()

    def answer_silent(self) -> None:
        self.server.stop.wait(5)

    def answer_stalled(self) -> None:
        self._send(200, self.server.content[:7], length=len(self.server.content))
        self.wfile.flush()
        self.server.stop.wait(5)

    def answer_trickle(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        for _ in range(200):
            self.server.stop.wait(0.02)
            self.wfile.write(b"x")
            self.wfile.flush()

    def answer_slowly(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        for at in range(0, len(self.server.content), 20):
            self.wfile.write(self.server.content[at : at + 20])
            self.wfile.flush()
            time.sleep(0.01)

    def answer_404(self) -> None:
        self._send(404, b"not found")

    def answer_403(self) -> None:
        self._send(403, b"no")

    def answer_500(self) -> None:
        self._send(500, b"oops")

    def answer_204(self) -> None:
        self._send(204, b"")

    def answer_empty(self) -> None:
        self._send(200, b"")

    def answer_web_page(self) -> None:
        self._send(200, b"\n<!DOCTYPE html><html><body>Please log in</body></html>", ("Content-Type", "text/html"))

    def answer_redirect(self) -> None:
        if self.path.startswith("/moved"):
            self.answer_well()
        else:
            self._send(302, b"", ("Location", f"/moved{self.path}"))

    def answer_redirect_forever(self) -> None:
        self._send(302, b"", ("Location", self.path))

    def _send(self, code: int, body: bytes, *headers: tuple[str, str], length: int | None = None) -> None:
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


class Server(ThreadingHTTPServer):
    """Remembers what was asked for."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, content: bytes) -> None:
        super().__init__((HOST, 0), Handler)
        self.content = content
        self.behaviour = "well"
        self.asked: list[str] = []
        self.stop = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """Run a server as long as it is needed."""
    server = Server(content)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
