"""Bring one file from an address to a place on the disk, completely or not at all, and say in words what went wrong."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import Response

CHUNK = 65_536
LARGEST = 256 * 1024 * 1024
PATIENCE = 20
REDIRECTS = 10
WEB_PAGE = re.compile(rb"\A(\xef\xbb\xbf)?\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)
SECRET = re.compile(r"(?<=//)[^/@\s]+@")
STATUS = {
    401: "the server wants a password (HTTP 401)",
    403: "the server refuses access (HTTP 403)",
    404: "the server has no such file (HTTP 404): check that the version exists",
    407: "the proxy wants a password (HTTP 407): give it in proxy=",
    410: "the file was removed from the server (HTTP 410)",
    429: "the server received too many requests (HTTP 429): wait a few minutes",
}


class TransferFailed(Exception):
    """A transfer did not bring the file; the message says what happened."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """How a file is fetched; an instance is what pooch calls a downloader.

    Attributes
    ----------
    sha256 : str
        Checksum the file must have; empty when it is not known.
    proxy : str or None
        Address of a proxy; ``None`` leaves it to the environment.
    timeout : float
        Seconds without an answer, or without new data, after which to give up. The whole transfer may take 20 times
        as long.
    progress : bool
        Whether to show a bar on standard error.
    """

    sha256: str = ""
    proxy: str | None = None
    timeout: float = 30.0
    progress: bool = False

    def __call__(self, url: str, output_file: str, pooch: object = None, check_only: bool = False) -> None:
        """Fetch `url` into `output_file`.

        Raises
        ------
        TransferFailed
            The file did not arrive, or not completely, or it is another one.
        """
        with Path(output_file).open("wb") as target:
            if url.startswith("file:"):
                _copy(url, target)
            else:
                self._fetch(url, target)
        check_content(Path(output_file), self.sha256)

    def _fetch(self, url: str, target: Any) -> None:
        """Stream a file over HTTP."""
        import requests

        proxies = None if self.proxy is None else {"http": self.proxy, "https": self.proxy}
        headers = {"Accept-Encoding": "identity", "User-Agent": "ipt-evidence"}
        received = [0]
        with _in_words(received, self.timeout), requests.Session() as session:
            session.max_redirects = REDIRECTS
            began = time.monotonic()
            with session.get(url, stream=True, timeout=self.timeout, proxies=proxies, headers=headers) as response:
                _check_answer(response, url)
                length = _length(response)
                with _bar(self.progress, length) as advance:
                    for chunk in _chunks(response):
                        received[0] += target.write(chunk)
                        advance(len(chunk))
                        self._check_limits(received[0], time.monotonic() - began)
        if length is not None and received[0] != length:
            raise TransferFailed(f"the file is truncated: {received[0]:,} of {length:,} bytes arrived")

    def _check_limits(self, received: int, seconds: float) -> None:
        """Give up on a file without end and on a server that only trickles."""
        if received > LARGEST:
            raise TransferFailed(f"the server sent more than {LARGEST:,} bytes, which is no table of trials")
        if seconds > PATIENCE * self.timeout:
            raise TransferFailed(
                f"the server is too slow: {received:,} bytes in {seconds:.0f} s; a longer timeout= allows more"
            )


def without_secrets(address: str) -> str:
    """Return an address without user name and password, fit for a message.

    Examples
    --------
    >>> without_secrets("https://me:secret@example.org/data.csv")
    'https://example.org/data.csv'
    """
    return SECRET.sub("", address)


def checksum(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_content(path: Path, sha256: str) -> None:
    """Raise when a file is empty, a web page, or not the one with the checksum expected."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise TransferFailed("the server sent an empty file")
    found = checksum(path)
    if sha256 and found != sha256:
        raise TransferFailed(f"what arrived is another file: its sha256 is {found}, expected {sha256}")
    if not sha256 and WEB_PAGE.match(head):
        raise TransferFailed("the server sent a web page instead of data; a login page of the network is one reason")


def _copy(url: str, target: Any) -> None:
    """Copy a file of this machine or of a network drive."""
    source = Path(url2pathname(unquote(urlsplit(url).path)))
    try:
        with source.open("rb") as file:
            shutil.copyfileobj(file, target)
    except FileNotFoundError:
        raise TransferFailed(f"there is no file {source}") from None
    except OSError as error:
        raise TransferFailed(f"{source} cannot be read ({error.strerror})") from error


def _check_answer(response: Response, url: str) -> None:
    """Raise unless the server answered with the file."""
    if url.startswith("https:") and not response.url.startswith("https:"):
        raise TransferFailed(f"the server redirects to an address without encryption, {without_secrets(response.url)}")
    code = response.status_code
    if code >= 500:
        raise TransferFailed(f"the server failed (HTTP {code}): try again later")
    if code != 200:
        raise TransferFailed(STATUS.get(code, f"the server answered HTTP {code} instead of sending the file"))


def _length(response: Response) -> int | None:
    """Return how many bytes the server promises; ``None`` when it does not say, or packs them on the way."""
    promised = response.headers.get("Content-Length", "")
    packed = response.headers.get("Content-Encoding", "identity").lower() != "identity"
    return int(promised) if promised.isdigit() and not packed else None


def _chunks(response: Response) -> Iterator[bytes]:
    """Yield what arrives as soon as it arrives, so that limits are checked on a slow line too."""
    read: Callable[..., bytes] = getattr(response.raw, "read1", response.raw.read)
    while chunk := read(CHUNK, decode_content=True):
        yield chunk


@contextmanager
def _in_words(received: list[int], timeout: float) -> Iterator[None]:
    """Turn the errors of the HTTP libraries into words."""
    import requests
    import urllib3

    so_far = "before anything arrived"
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        if received[0]:
            so_far = f"after {received[0]:,} bytes"
        raise TransferFailed(_what_happened(error, timeout, so_far)) from error


def _what_happened(error: Exception, timeout: float, so_far: str) -> str:
    """Return in words why a transfer failed."""
    import requests
    import urllib3

    said = repr(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not answer, or refused: check proxy= or the environment variables HTTP_PROXY, HTTPS_PROXY"
    if isinstance(error, (requests.exceptions.SSLError, urllib3.exceptions.SSLError)):
        return "the certificate of the server could not be verified"
    timed_out = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if isinstance(error, timed_out) or "timed out" in said:
        return f"the server was silent for {timeout:g} s ({so_far}): try again, or give a longer timeout="
    if isinstance(error, requests.TooManyRedirects):
        return f"the server redirected more than {REDIRECTS} times"
    if "NameResolution" in said or "getaddrinfo" in said:
        return "the name of the server could not be resolved: this computer is offline, or the address is wrong"
    if "refused" in said:
        return "the connection was refused: nothing listens at this address"
    if isinstance(error, requests.RequestException) and isinstance(error, ValueError):
        return "this is not an address that can be fetched; expected http://, https:// or file://"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, requests.RequestException):
        return f"the transfer failed {so_far} ({error.strerror})"
    return f"the connection broke off {so_far}"


@contextmanager
def _bar(wanted: bool, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error; yield the function that moves it on."""
    if not wanted:
        yield lambda size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("download", total=total)
        yield lambda size: progress.advance(task, size)
