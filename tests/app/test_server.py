"""A session: what it sends, what it keeps to itself, and what never reaches the page."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

import ipt_evidence as ipt
from ipt_evidence.app import jobs, run, server
from ipt_evidence.app.analysis import Analyst, pool_options
from ipt_evidence.app.data import shipped_data
from ipt_evidence.app.guard import Guard
from ipt_evidence.app.server import Shared, Visit
from ipt_evidence.app.uploads import Upload
from ipt_evidence.app.view import View
from ipt_evidence.app.workers import BusyError, FailedError, TooSlowError, Workers
from ipt_evidence.cli import app
from ipt_evidence.errors import MissingExtraError

ANALYST = Analyst(shipped_data(), remember=30)


class InThisProcess:
    """Workers that do the work at once."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self.calls.append(arguments[0])
        await asyncio.sleep(0)
        return function(*arguments)


def shared() -> Shared:
    return Shared(analyst=ANALYST, quick=InThisProcess(), workers=InThisProcess())  # type: ignore[arg-type]


async def ended(*visits: Visit) -> None:
    for visit in visits:
        while visit._tasks:
            await asyncio.gather(*visit._tasks)


def visit_of(common: Shared) -> tuple[Visit, list[dict[str, Any]]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    return Visit(common, send), sent


def test_a_change_is_one_answer() -> None:
    visit, sent = visit_of(shared())
    asyncio.run(visit.show({"query": "out=bolton2003&foo=1", "turn": 7}))
    (message,) = sent
    assert (message["turn"], message["query"], message["tab"]) == (7, "out=bolton2003", "forest")
    assert "34 trials" in message["regions"]["sentence"]
    assert "foo" in message["regions"]["messages"]
    assert "choices" not in message["regions"]


def test_what_many_ask_for_is_computed_once_and_old_answers_are_dropped() -> None:
    common = shared()

    async def story() -> tuple[list[Any], list[Any]]:
        (one, to_one), (other, to_other) = visit_of(common), visit_of(common)
        await one.show({"query": "tab=robustness&condition=anxiety", "turn": 1})
        await other.show({"query": "tab=robustness&condition=anxiety", "turn": 1})
        await other.show({"query": "", "turn": 2})
        await ended(one, other)
        return to_one, to_other

    to_one, to_other = asyncio.run(story())
    assert common.workers.calls == ["menu"]  # type: ignore[attr-defined]
    assert "Outliers removed" in to_one[-1]["regions"]["later-menu"]
    assert [message["turn"] for message in to_other] == [1, 2]


def test_groups_come_later() -> None:
    visit, sent = visit_of(shared())

    async def story() -> None:
        await visit.show({"query": "group=format&out=bolton2003&condition=depression", "turn": 1})
        await visit.show({"query": "tab=subgroups&group=format&moderator=n_sessions", "turn": 2})
        await ended(visit)

    asyncio.run(story())
    parts = {key: html for message in sent for key, html in message["regions"].items() if key.startswith("later-")}
    assert set(parts) == {"later-subgroups", "later-regression"}
    assert "telephone" in parts["later-subgroups"]
    assert "Slope per unit" in parts["later-regression"]
    forest = jobs.work("groups", View(group="format", out=("bolton2003",)), None).html
    assert "Telephone" in forest
    assert 'data-tick="bolton2003"' in forest


def upload(visit: Visit, content: bytes, name: str = "mine.csv") -> Any:
    return visit.upload({"name": name, "content": base64.b64encode(content).decode()})


def test_a_file_stays_in_its_session(monkeypatch: pytest.MonkeyPatch) -> None:
    common = shared()
    rows = ipt.load_dataset("ipt").query("condition == 'anxiety'")
    monkeypatch.setattr("ipt_evidence.app.uploads.check_upload", lambda name, content, **_: Upload(name, rows))

    async def story() -> tuple[Visit, list[Any], list[Any]]:
        (mine, to_me), (other, to_other) = visit_of(common), visit_of(common)
        await upload(mine, b"any")
        await ended(mine)
        await mine.show({"query": "data=upload&condition=anxiety&year_from=2009", "turn": 1})
        await mine.download("results.csv")
        await ended(mine)
        await other.show({"query": "data=upload", "turn": 1})
        return mine, to_me, to_other

    mine, to_me, to_other = asyncio.run(story())
    assert "trials read" in to_me[1]["regions"]["upload-result"]
    assert common.workers.calls == ["results.csv"]  # type: ignore[attr-defined]
    assert len(common.quick.calls) == 1  # type: ignore[attr-defined]
    assert len(common.files) + len(common.pieces) == 0
    assert View(condition="anxiety", year_from=2009) not in ANALYST._results
    assert server.NO_UPLOAD in to_other[0]["regions"]["messages"]
    asyncio.run(mine.forget_upload())
    assert mine.own is None


@pytest.mark.parametrize(
    ("content", "says"), [(b"a,b\n1,<script>\n", "cannot be used"), ("%%%", "did not arrive whole"), (b"", "cannot")]
)
def test_a_bad_file_is_a_sentence(content: bytes | str, says: str) -> None:
    visit, sent = visit_of(shared())

    async def story() -> None:
        if isinstance(content, str):
            await visit.upload({"name": "x.csv", "content": content})
        else:
            await upload(visit, content)
        await ended(visit)

    asyncio.run(story())
    said = sent[-1]["regions"]["upload-result"]
    assert says in said
    assert "<script>" not in said
    assert visit.own is None


def test_unexpected_errors_are_a_reference(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("/home/somebody/secret.py")

    monkeypatch.setattr(server, "panel", broken)
    visit, sent = visit_of(shared())
    asyncio.run(visit.show({"query": "", "turn": 1}))
    said = sent[0]["regions"]["panel-forest"]
    assert "Something went wrong here (reference " in said
    assert "secret" not in str(sent)
    assert "secret" in capsys.readouterr().err


def test_downloads_are_files_of_the_view() -> None:
    visit, sent = visit_of(shared())

    async def story() -> None:
        await visit.show({"query": "condition=anxiety", "turn": 1})
        for name in ("results.csv", "trials.csv", "code.py", "../../etc/passwd"):
            await visit.download(name)
            await ended(visit)

    asyncio.run(story())
    files = [message["file"] for message in sent if "file" in message]
    assert [file["name"] for file in files] == [
        "ipt_anxiety_results.csv",
        "ipt_anxiety_trials.csv",
        "ipt_anxiety_code.py",
    ]
    fit = ANALYST.result(View(condition="anxiety")).fit
    assert fit is not None
    assert repr(fit.estimate)[:12] in base64.b64decode(files[0]["content"]).decode()


@pytest.mark.parametrize("view", [View(out=("bolton2003",), rob=2, tau2="DL"), View(phase="all", outliers="outliers")])
@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")
def test_a_report_is_about_the_trials_of_the_view(view: View) -> None:
    fit = ANALYST.result(view).fit
    assert fit is not None
    rows = jobs.for_report(ANALYST, view)
    mine = rows[rows["analysis_set"].eq("primary") & (rows["phase"].eq(view.phase) | (view.phase == "all"))]
    again = ipt.pool(mine, **pool_options(view))
    assert (again.k, again.estimate) == (fit.k, pytest.approx(fit.estimate, abs=1e-12))
    said = rows.loc[rows["why_not"].astype(str).str.startswith("left out by choice"), "why_not"]
    assert said.str.contains("ticked out|removed by the outlier rule|low risk|not rated").all()
    assert len(said) > 2


def test_spreadsheets_do_not_run_cells() -> None:
    assert jobs._as_text("=HYPERLINK()") == "'=HYPERLINK()"
    assert jobs._as_text(-0.3) == -0.3


def test_workers_stop_fail_and_refuse() -> None:
    async def story() -> None:
        workers = Workers(1, waiting=1, seconds=30)
        try:
            first = await workers.run(os.getpid)
            assert first != os.getpid()
            with pytest.raises(FailedError, match="ZeroDivisionError"):
                await workers.run(divmod, 1, 0)
            workers.seconds = 0.2
            waiting = [asyncio.create_task(workers.run(time.sleep, 20)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError):
                await workers.run(os.getpid)
            found = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(error) for error in found] == [TooSlowError, TooSlowError]
        finally:
            workers.stop()

    asyncio.run(story())


async def answer(guard: Guard, scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await guard(scope, receive, send)
    return sent


async def inside(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("POST", "/", 404),
        ("POST", "/session/x/upload/y", 404),
        ("GET", "/session/x/download/y", 404),
    ],
)
def test_closed_roads_and_headers(method: str, path: str, status: int) -> None:
    sent = asyncio.run(answer(Guard(inside, max_sessions=1), {"type": "http", "method": method, "path": path}))
    assert sent[0]["status"] == status
    headers = dict(sent[0]["headers"])
    assert b"default-src 'self'" in headers[b"content-security-policy"]
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"referrer-policy"] == b"no-referrer"


def test_no_more_sessions_than_the_server_can_bear() -> None:
    guard = Guard(inside, max_sessions=0)
    assert asyncio.run(answer(guard, {"type": "websocket"}))[0]["code"] == 1013
    assert asyncio.run(answer(guard, {"type": "http", "method": "GET", "path": "/"}))[0]["status"] == 503


def test_a_taken_port_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = CliRunner().invoke(app, ["explore", "--no-browser", "--port", str(taken.getsockname()[1])])
    assert found.exit_code == 2
    assert found.stderr.count("\n") == 1
    assert "--port" in found.stderr


def test_without_shiny_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shiny", None)
    with pytest.raises(MissingExtraError, match=r"ipt-evidence\[app\]"):
        run.run(port=0, browser=False)
