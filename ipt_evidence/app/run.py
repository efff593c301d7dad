"""Start the explorer: the web application and the server that runs it, on this computer unless told otherwise."""

from __future__ import annotations

import socket
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import MissingExtraError, OptionError

if TYPE_CHECKING:
    from starlette.requests import Request

HOST = "127.0.0.1"
PORT = 8765
MAX_MESSAGE = 7_500_000
MAX_SESSIONS = 200
STATIC = Path(__file__).parent / "static"


def require_shiny() -> None:
    """Raise an error that names the extra when Shiny is not installed.

    Raises
    ------
    MissingExtraError
        Shiny or uvicorn is missing.
    """
    try:
        import shiny  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError('the explorer needs Shiny: pip install "ipt-evidence[app]"') from error


def make_app() -> Any:
    """Return the web application as an ASGI callable.

    Raises
    ------
    MissingExtraError
        Shiny is not installed.
    """
    require_shiny()
    from shiny import App, ui

    from ipt_evidence.app.guard import Guard
    from ipt_evidence.app.page import page_html
    from ipt_evidence.app.server import Shared, make_server, regions_of, without_upload
    from ipt_evidence.app.view import from_query, to_query

    shared = Shared()

    def page(request: Request) -> Any:
        parsed = without_upload(from_query(request.url.query))
        regions = regions_of(shared.analyst, parsed, form=True)
        return ui.page_html(page_html(regions, parsed.view, to_query(parsed.view)))

    app = App(page, make_server(shared), static_assets={"/static": STATIC})
    app.sanitize_errors = True
    app.on_shutdown(shared.workers.stop)
    app.on_shutdown(shared.quick.stop)
    warm(shared)
    return Guard(app, max_sessions=MAX_SESSIONS)


def warm(shared: Any) -> None:
    """Answer each kind of question once, so that nobody waits for libraries to be loaded."""
    from dataclasses import replace

    from ipt_evidence.app.server import regions_of
    from ipt_evidence.app.view import Parsed, View

    for tab in ("forest", "trials", "robustness", "small", "subgroups", "code"):
        regions_of(shared.analyst, Parsed(replace(View(), tab=tab), ()), form=False)


def open_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens where it was asked for.

    Raises
    ------
    OptionError
        The port is taken, or the address is not one of this computer; the message says which.
    """
    if not 0 <= port <= 65535:
        raise OptionError(f"--port must lie between 0 and 65535; received {port}")
    listener: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        if listener is not None:
            listener.close()
        said = error.strerror or str(error)
        raise OptionError(f"cannot listen on {host}, port {port}: {said}; choose another one with --port") from error
    return listener


def _only_here(host: str) -> bool:
    """Return whether an address can be reached from this computer only."""
    return host in ("localhost", "::1") or host.startswith("127.")


def run(*, host: str = HOST, port: int = PORT, browser: bool = True) -> None:
    """Serve the explorer until it is interrupted.

    Parameters
    ----------
    host : str
        Address to listen on; the default can be reached from this computer only.
    port : int
        Port; 0 takes a free one.
    browser : bool
        Open the page in the web browser.

    Raises
    ------
    MissingExtraError
        Shiny is not installed.
    OptionError
        The port is taken or the address is not of this computer.
    """
    require_shiny()
    import uvicorn

    listener = open_socket(host, port)
    app = make_app()
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}/"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            print(f"Explorer: {url}  (stop with Ctrl+C)", flush=True)
            if not _only_here(host):
                print("Everyone who can reach this computer over the network can open it.", flush=True)
            if browser:
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=True,
        server_header=False,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=32_768,
    )
    Server(config).run(sockets=[listener])
