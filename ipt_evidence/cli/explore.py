"""The command that opens the explorer."""

from __future__ import annotations

from typing import Annotated

import typer

from ipt_evidence.cli.output import messages


def explore(
    *,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on. The default can be reached from this computer only.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the web browser.")] = True,
) -> None:
    """Open the explorer, a web page on this computer: every trial behind every pooled effect."""
    with messages():
        from ipt_evidence.app.run import run

        run(host=host, port=port, browser=browser)
