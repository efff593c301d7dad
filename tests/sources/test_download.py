"""Downloads from a real HTTP server on loopback: the right file or nothing, and a message that helps."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ipt_evidence.errors import DownloadError, EvidenceError, OptionError, UnverifiedDownloadWarning
from ipt_evidence.sources import download as module
from ipt_evidence.sources.download import download
from ipt_evidence.sources.download_transfer import Transfer
from ipt_evidence.sources.releases import find_release
from tests.sources.download_server import HOST, serving

CONTENT = b'"";"study";"mean_arm1"\n' + b'"1";"Elkin, 1989";7,5\n' * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()
NAME = "metapsy/depression-psyctr"
FILE = "depression-psyctr-24.0.2.csv"
PLACE = "data-depression-psyctr/24.0.2/data.csv"
QUICK = 0.2


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ipt_evidence_cache"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server():
    with serving(CONTENT) as running:
        yield running


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "a cache with spaces"


def knowing(monkeypatch, sha256):
    """Let the registry hold a checksum of the test's own content."""
    monkeypatch.setattr(
        module, "find_release", lambda name, version: replace(find_release(name, version), sha256=sha256)
    )


@pytest.fixture
def known(monkeypatch):
    knowing(monkeypatch, SHA256)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize("behaviour", ["well", "chunked", "gzip", "slowly", "redirect"])
@pytest.mark.usefixtures("known")
def test_the_right_file_arrives_whole(server, cache, behaviour):
    server.behaviour = behaviour
    path = download(NAME, base_url=server.url, cache_dir=cache, timeout=QUICK)
    assert path == cache / FILE
    assert path.read_bytes() == CONTENT
    assert files(cache) == {FILE}
    assert server.asked[0] == f"/{PLACE}"
    asked = len(server.asked)
    assert download(NAME, base_url=server.url, cache_dir=cache) == path
    assert len(server.asked) == asked, "the second call does not use the network"


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("404", "HTTP 404"),
        ("403", "HTTP 403"),
        ("500", "HTTP 500"),
        ("204", "HTTP 204"),
        ("truncated", "truncated|broke off"),
        ("chunked_cut", "broke off"),
        ("reset", "broke off"),
        ("silent", "silent for 0.2 s"),
        ("stalled", r"silent for 0.2 s \(after 7 bytes\)"),
        ("trickle", "too slow"),
        ("empty", "empty file|another file"),
        ("web_page", "another file|web page"),
        ("redirect_forever", "redirected more than"),
    ],
)
@pytest.mark.parametrize("sha256", [SHA256, ""], ids=["known", "unknown"])
def test_every_failure_says_what_where_and_how_to_go_on(server, cache, monkeypatch, behaviour, said, sha256):
    knowing(monkeypatch, sha256)
    monkeypatch.setattr("ipt_evidence.sources.download_transfer.PATIENCE", 2)
    server.behaviour = behaviour
    with pytest.raises(DownloadError, match=said) as caught:
        download(NAME, base_url=server.url, cache_dir=cache, timeout=QUICK)
    message = str(caught.value)
    assert f"{server.url}/{PLACE}" in message
    assert str(cache / FILE) in message
    assert (SHA256 in message) == bool(sha256)
    assert (caught.value.url, caught.value.path, caught.value.sha256) == (f"{server.url}/{PLACE}", cache / FILE, sha256)
    assert isinstance(caught.value, EvidenceError)
    assert files(cache) == set(), "nothing is left in the cache"


def test_a_wrong_checksum_is_refused_and_says_both(server, cache, monkeypatch):
    knowing(monkeypatch, OTHER)
    with pytest.raises(DownloadError, match=f"its sha256 is {SHA256}, expected {OTHER}"):
        download(NAME, base_url=server.url, cache_dir=cache)
    assert files(cache) == set()


def test_offline_says_so(cache, monkeypatch):
    def nowhere(*args, **kwargs):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(DownloadError, match="could not be resolved: this computer is offline") as caught:
        download(NAME, cache_dir=cache)
    assert find_release(NAME).sha256 in str(caught.value)
    assert "10.5281/zenodo.7254845" in str(caught.value)


def test_nobody_listens(cache):
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match="refused"):
        download(NAME, base_url=f"http://{HOST}:{port}", cache_dir=cache)


@pytest.mark.parametrize("base_url", ["ftp://127.0.0.1", "http://", "http://[broken"])
def test_an_address_that_is_none(cache, base_url):
    with pytest.raises(DownloadError, match=r"not an address|could not be resolved"):
        download(NAME, base_url=base_url, cache_dir=cache)


def test_ctrl_c_leaves_nothing_and_goes_on(server, cache, monkeypatch):
    def interrupted(self, url, target):
        target.write(CONTENT[:50])
        raise KeyboardInterrupt

    monkeypatch.setattr(Transfer, "_fetch", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        download(NAME, base_url=server.url, cache_dir=cache)
    assert "interrupted; no part" in caught.value.__notes__[0]
    assert files(cache) == set()


def test_unknown_checksum_is_recorded_once_and_must_match_then(server, cache, monkeypatch):
    knowing(monkeypatch, "")
    options = {"base_url": server.url, "cache_dir": cache}
    with pytest.warns(UnverifiedDownloadWarning, match=f"was not verified.*{SHA256}"):
        path = download(NAME, **options)
    assert (cache / f"{FILE}.sha256").read_text() == f"{SHA256}  {FILE}\n"
    assert download(NAME, **options) == path, "no second warning"
    path.unlink()
    assert download(NAME, **options).read_bytes() == CONTENT
    path.unlink()
    server.content = CONTENT + b"changed"
    with pytest.raises(DownloadError, match=f"{SHA256}, as recorded when it was first used.*delete") as caught:
        download(NAME, **options)
    assert f"{FILE}.sha256" in str(caught.value)
    assert files(cache) == {f"{FILE}.sha256"}


def test_a_copy_that_was_tried_before_is_recognised(server, cache, monkeypatch):
    copies = ((SHA256, "copy of unknown version"),)
    monkeypatch.setattr(module, "find_release", lambda *a: replace(find_release(*a), sha256="", copies=copies))
    with pytest.warns(UnverifiedDownloadWarning, match="It is the copy of unknown version"):
        download(NAME, base_url=server.url, cache_dir=cache)


@pytest.mark.usefixtures("known")
def test_a_damaged_file_in_the_cache_is_fetched_again(server, cache):
    cache.mkdir()
    (cache / FILE).write_bytes(CONTENT[:50])
    with pytest.warns(UnverifiedDownloadWarning, match="did not match its checksum"):
        path = download(NAME, base_url=server.url, cache_dir=cache)
    assert path.read_bytes() == CONTENT
    path.write_bytes(b"mine")
    server.behaviour = "500"
    with pytest.raises(DownloadError, match="was left as it is"):
        download(NAME, base_url=server.url, cache_dir=cache)
    assert path.read_bytes() == b"mine"


def test_a_file_placed_by_hand_is_used_without_the_network(cache, monkeypatch):
    knowing(monkeypatch, SHA256)
    cache.mkdir()
    (cache / FILE).write_bytes(CONTENT)
    assert download(NAME, base_url="http://127.0.0.1:1", cache_dir=cache).read_bytes() == CONTENT
    knowing(monkeypatch, "")
    with pytest.warns(UnverifiedDownloadWarning):
        download(NAME, base_url="http://127.0.0.1:1", cache_dir=cache)


@pytest.mark.usefixtures("known")
def test_a_folder_or_file_address_is_a_mirror(tmp_path, cache):
    mirror = tmp_path / "mirror here"
    with pytest.raises(DownloadError, match=r"there is no file .*data\.csv"):
        download(NAME, base_url=mirror, cache_dir=cache)
    (mirror / PLACE).parent.mkdir(parents=True)
    (mirror / PLACE).write_bytes(CONTENT)
    for at, base_url in enumerate([mirror, str(mirror), mirror.as_uri(), f"{mirror.as_uri()}/"]):
        assert download(NAME, base_url=base_url, cache_dir=cache / str(at)).read_bytes() == CONTENT


@pytest.mark.usefixtures("known")
def test_cache_folder_from_the_environment(server, cache, monkeypatch):
    monkeypatch.setenv("IPT_EVIDENCE_CACHE", str(cache))
    assert download(NAME, base_url=server.url) == cache / FILE


@pytest.mark.usefixtures("known")
def test_a_cache_that_cannot_be_written_to(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match=r"cannot be written to.*IPT_EVIDENCE_CACHE"):
        download(NAME, base_url=server.url, cache_dir=tmp_path / "file" / "cache")


@pytest.mark.usefixtures("known")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_cache(server, cache):
    cache.mkdir()
    cache.chmod(0o555)
    with pytest.raises(DownloadError, match="cannot be written to"):
        download(NAME, base_url=server.url, cache_dir=cache)
    cache.chmod(0o755)


@pytest.mark.usefixtures("known")
def test_a_read_only_cache_seen_by_anyone(server, cache, monkeypatch):
    """The same for the superuser, to whom the system refuses nothing."""

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    cache.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.NamedTemporaryFile", refuse)
        with pytest.raises(DownloadError, match=r"cannot be written to.*Permission denied"):
            download(NAME, base_url=server.url, cache_dir=cache)
        (cache / FILE).write_bytes(CONTENT)
        assert download(NAME, base_url=server.url, cache_dir=cache).read_bytes() == CONTENT, "reading is enough"


def test_proxy_is_asked_and_its_failure_said(server, cache, monkeypatch):
    knowing(monkeypatch, SHA256)
    base = "http://data.example.org/mirror"
    assert download(NAME, base_url=base, cache_dir=cache, proxy=server.url).read_bytes() == CONTENT
    assert server.asked == [f"{base}/{PLACE}"]
    monkeypatch.setenv("HTTP_PROXY", server.url)
    download(NAME, base_url=base, cache_dir=cache / "2")
    assert len(server.asked) == 2
    with pytest.raises(DownloadError, match="proxy did not answer"):
        download(NAME, base_url=base, cache_dir=cache / "3", proxy="http://127.0.0.1:1")


def test_passwords_stay_out_of_messages(server, cache):
    server.behaviour = "404"
    with pytest.raises(DownloadError) as caught:
        download(NAME, base_url=server.url.replace("//", "//me:secret@"), cache_dir=cache)
    assert "secret" not in str(caught.value) + caught.value.url


@pytest.mark.parametrize("timeout", [0, -1, "30", True, float("inf")])
def test_timeout_must_be_seconds(cache, timeout):
    with pytest.raises(OptionError, match="timeout"):
        download(NAME, cache_dir=cache, timeout=timeout)


def test_progress_goes_to_standard_error(server, cache, known, capsys):
    download(NAME, base_url=server.url, cache_dir=cache, progress=True)
    assert capsys.readouterr().out == ""


def test_two_processes_share_a_cache(server, cache):
    server.behaviour = "slowly"
    code = (
        "import sys, warnings; warnings.simplefilter('ignore');"
        "from ipt_evidence.sources.download import download;"
        f"print(download({NAME!r}, version='1.0.0', base_url=sys.argv[1], cache_dir=sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, server.url, str(cache)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [process.communicate(timeout=30) for process in running]
    assert [process.returncode for process in running] == [0, 0], ended
    path = cache / "depression-psyctr-1.0.0.csv"
    assert [out.strip() for out, _ in ended] == [str(path)] * 2
    assert path.read_bytes() == CONTENT
    assert re.fullmatch(rf"{SHA256}  {path.name}\n", (cache / f"{path.name}.sha256").read_text())
    assert len(files(cache)) == 2
