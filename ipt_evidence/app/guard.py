"""What stands between the network and the application: headers, limits, and roads that stay closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SHINYS_OWN_SCRIPT = "sha256-erP5hScmId9gRru9k52QQl/lSJmUl8NfFAiLNMbPtcg="
POLICY = (
    f"default-src 'self'; script-src 'self' '{SHINYS_OWN_SCRIPT}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; "
    "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
FULL = 1013
TOO_MANY = b"The explorer has as many visitors as it can serve. Try again in a few minutes."


class Guard:
    """An ASGI application around another one.

    Parameters
    ----------
    app : ASGI callable
        The application.
    max_sessions : int
        How many websockets may be open at a time.
    """

    def __init__(self, app: Any, *, max_sessions: int) -> None:
        self._app, self._most = app, max_sessions
        self.sessions = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _websocket(self, scope: Message, receive: Receive, send: Send) -> None:
        if self.sessions >= self._most:
            await receive()
            await send({"type": "websocket.close", "code": FULL})
            return
        self.sessions += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.sessions -= 1

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        if scope["path"] == "/health":
            await _say(with_headers, 200, b"ok")
        elif scope["method"] not in ("GET", "HEAD") or scope["path"].startswith("/session/"):
            await _say(with_headers, 404, b"Not found")  # Shiny's own uploads would write to the disk
        elif self.sessions >= self._most and scope["path"] == "/":
            await _say(with_headers, 503, TOO_MANY)
        else:
            await self._app(scope, receive, with_headers)


async def _say(send: Send, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})
