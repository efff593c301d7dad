"""The live part of the page: what one session has chosen, and the answers that go back to its browser."""

from __future__ import annotations

import asyncio
import base64
import secrets
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ipt_evidence.app.analysis import Analyst
from ipt_evidence.app.bounded import Bounded
from ipt_evidence.app.data import TrialData, effects_and_remarks, shipped_data
from ipt_evidence.app.form import asks_the_same, form_html
from ipt_evidence.app.html import bullets, esc
from ipt_evidence.app.jobs import TYPES, Answer, work
from ipt_evidence.app.page import answer_regions, title
from ipt_evidence.app.panels import failed, jobs_in, panel
from ipt_evidence.app.view import Parsed, View, from_query, to_query
from ipt_evidence.app.workers import NICE, BusyError, FailedError, TooSlowError, Workers
from ipt_evidence.errors import EvidenceError

if TYPE_CHECKING:
    from shiny import Inputs, Outputs, Session

MESSAGE = "ipt"
QUICK_JOBS = ("groups", "subgroups", "regression")
TABLE_JOBS = (*QUICK_JOBS, "menu", "bias", "claims")
FILE_JOBS = (
    *("figure.svg", "figure.png", "figure.pdf", "results.csv", "results.xlsx", "trials.csv"),
    *("report.html", "report.docx", "code.py"),
)
REMEMBERED_FILES = 40
REMEMBERED_PIECES = 300
REMEMBERED_IN_SESSION = 40
NO_UPLOAD = "An uploaded file cannot be part of a link: the shipped trials are shown. Choose the file again to use it."
BUSY = "The server is busy with other people's requests. Try again in a minute."
TOO_SLOW = "This took longer than the server allows and was stopped."


@dataclass(eq=False)
class Shared:
    """What all sessions share: the shipped trials, their answers, and the workers.

    What a reader waits for while choosing has a worker of its own, so that it never waits for somebody's report.
    """

    analyst: Analyst = field(default_factory=lambda: Analyst(shipped_data()))
    quick: Workers = field(default_factory=lambda: Workers(1))
    workers: Workers = field(default_factory=lambda: Workers(2, nice=NICE))
    files: Bounded[Answer] = field(default_factory=lambda: Bounded(REMEMBERED_FILES))
    pieces: Bounded[Answer] = field(default_factory=lambda: Bounded(REMEMBERED_PIECES))
    under_way: dict[tuple[Any, ...], asyncio.Task[Answer]] = field(default_factory=dict)


def reference(error: BaseException) -> str:
    """Write an unexpected error to standard error and return the sentence that the page shows instead."""
    code = secrets.token_hex(3).upper()
    print(f"explorer: reference {code}", file=sys.stderr)
    traceback.print_exception(error, file=sys.stderr)
    return f"Something went wrong here (reference {code})."


def guarded(make: Callable[[], str]) -> str:
    """Return a piece of HTML, or in its place a sentence on why there is none."""
    try:
        return make()
    except EvidenceError as error:
        return failed(str(error))
    except Exception as error:
        return failed(reference(error))


def regions_of(analyst: Analyst, parsed: Parsed, *, form: bool) -> dict[str, str]:
    """Return the HTML of every region of the page that a view changes."""
    view = parsed.view
    try:
        regions = answer_regions(analyst.result(view), parsed.problems)
    except Exception as error:
        said = reference(error)
        regions = {"question": "", "narrowed": "", "sentence": esc(said), "numbers": "", "messages": ""}
    regions[f"panel-{view.tab}"] = guarded(lambda: panel(analyst, view))
    if form:
        regions["choices"] = guarded(lambda: form_html(view, analyst.data))
    return regions


def without_upload(parsed: Parsed) -> Parsed:
    """Return a view of the shipped trials where an address asks for a file that this session does not have."""
    view = parsed.view
    if view.data != "upload":
        return parsed
    return Parsed(replace(view, data="ipt"), (*parsed.problems, NO_UPLOAD))


class Visit:
    """One session: its own file, its place in the queue, and the messages to its browser."""

    def __init__(self, shared: Shared, send: Callable[[dict[str, Any]], Any]) -> None:
        self.shared, self._send = shared, send
        self.own: Analyst | None = None
        self.turn = 0
        self.view = View()
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: Bounded[Answer] = Bounded(REMEMBERED_IN_SESSION)

    def close(self) -> None:
        """Drop what the session waits for and holds."""
        for task in self._tasks:
            task.cancel()
        self.own = None

    def analyst_of(self, view: View) -> Analyst:
        """Return who answers: for the session's own file or for the shipped trials."""
        return self.own if self.own is not None and view.data == "upload" else self.shared.analyst

    def read(self, query: str) -> Parsed:
        """Return the view of a query."""
        parsed = from_query(query)
        return parsed if self.own is not None else without_upload(parsed)

    async def show(self, asked: Mapping[str, Any]) -> None:
        """Answer a change of the choices."""
        self.turn = _whole(asked.get("turn"))
        await self.show_view(self.read(str(asked.get("query", ""))), form=bool(asked.get("form")))

    async def show_view(self, parsed: Parsed, *, form: bool) -> None:
        """Send every region that a view changes, and start what it waits for."""
        view = parsed.view
        form = form or not asks_the_same(view, self.view)
        self.view = view
        regions = regions_of(self.analyst_of(view), parsed, form=form)
        await self._send(
            {"turn": self.turn, "query": to_query(view), "tab": view.tab, "title": title(view), "regions": regions}
        )
        for job in jobs_in(regions[f"panel-{view.tab}"]):
            if job in TABLE_JOBS:
                self._start(self._later(job, view, self.turn))

    def _start(self, work_to_do: Any) -> None:
        task = asyncio.get_running_loop().create_task(work_to_do)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(self, job: str, view: View, turn: int) -> None:
        answer = await self._answer(job, view)
        if turn == self.turn:
            shown = failed(answer.problem) if answer.problem else answer.html
            await self._send({"turn": turn, "regions": {f"later-{job}": shown}})

    async def download(self, name: str) -> None:
        """Make a file in a worker and send it."""
        if name not in FILE_JOBS:
            return
        self._start(self._file(name, self.view))

    async def _file(self, name: str, view: View) -> None:
        answer = await self._answer(name, view)
        message: dict[str, Any] = {"name": f"ipt_{view.condition}_{name}", "problem": answer.problem}
        if not answer.problem:
            content = base64.b64encode(answer.content).decode()
            message |= {"content": content, "type": TYPES[name.rsplit(".", 1)[1]]}
        await self._send({"file": message})

    async def _answer(self, job: str, view: View) -> Answer:
        """Return what a worker makes of a job; what several people ask for at once is made once."""
        analyst = self.analyst_of(view)
        key = (job, view.condition) if job == "claims" else (job, view.question, view.moderator, view.axis)
        ours = self.shared.files if job in FILE_JOBS else self.shared.pieces
        kept = ours if analyst.data.shipped else self._answers
        if key in kept:
            return kept.get(key, Answer)
        if not analyst.data.shipped:
            return await self._kept(kept, key, job, view, analyst.data)
        task = self.shared.under_way.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._kept(kept, key, job, view, None))
            self.shared.under_way[key] = task
            task.add_done_callback(lambda _: self.shared.under_way.pop(key, None))
        return await asyncio.shield(task)

    async def _kept(
        self, kept: Bounded[Answer], key: tuple[Any, ...], job: str, view: View, data: TrialData | None
    ) -> Answer:
        """Return the answer of a worker, and remember it if it would be the same another time."""
        try:
            workers = self.shared.quick if job in QUICK_JOBS else self.shared.workers
            answer: Answer = await workers.run(work, job, view, data)
        except BusyError:
            return Answer(problem=BUSY)
        except TooSlowError:
            return Answer(problem=TOO_SLOW)
        except FailedError as error:
            return Answer(problem=reference(error))
        kept.put(key, answer)
        return answer

    async def card(self, trial: str) -> None:
        """Send the card of a trial."""
        from ipt_evidence.app.trial_card import trial_card

        analyst = self.analyst_of(self.view)

        def make() -> str:
            studies, effects = analyst.data.studies, analyst.data.effects(self.view.convention)
            mine = studies[studies["trial_id"].astype(str) == trial]
            if mine.empty:
                return failed("These data have no such trial.")
            of_trial = effects[effects["trial_id"].astype(str) == trial]
            return trial_card(mine, of_trial, trial, analyst.result(self.view).fit)

        await self._send({"card": guarded(make)})

    async def upload(self, sent: Mapping[str, Any]) -> None:
        """Check a file that the user sent, and show it when it can be used."""
        self._start(self._upload(sent))

    async def _upload(self, sent: Mapping[str, Any]) -> None:
        from ipt_evidence.app.uploads import check_message

        try:
            found = await asyncio.to_thread(check_message, sent)
            if found.studies is None:
                said = "<p>The file cannot be used:</p>" + bullets(list(found.problems), "problems")
            else:
                data = TrialData(found.name, found.studies, shipped=False)
                own = Analyst(data, remember=REMEMBERED_IN_SESSION)
                data.take(await self.shared.quick.run(effects_and_remarks, data.studies))
                self.own = own
                rows, trials = len(found.studies), found.studies["trial_id"].nunique()
                said = f"<p>{rows} rows of {trials} trials read.</p>" + bullets(list(found.notes), "notes")
                await self.show_view(Parsed(first_view(data), ()), form=True)
        except EvidenceError as error:
            said = "<p>The file cannot be used:</p>" + bullets([str(error)], "problems")
        except (BusyError, TooSlowError):
            said = f"<p>{BUSY}</p>"
        except Exception as error:
            said = f"<p>{esc(reference(error))}</p>"
        await self._send({"regions": {"upload-result": said}, "uploaded": True})

    async def forget_upload(self) -> None:
        """Drop the session's file and go back to the shipped trials."""
        self.own = None
        self._answers = Bounded(REMEMBERED_IN_SESSION)
        await self.show_view(Parsed(View(tab=self.view.tab), ()), form=True)
        await self._send({"regions": {"upload-result": "<p>Removed. The shipped trials are shown.</p>"}})


def first_view(data: TrialData) -> View:
    """Return the view with which a file starts: its most frequent contrast, everything else kept."""
    contrasts = data.values("contrast")
    phases = data.values("phase")
    return View(
        data="upload",
        condition="all" if len(data.values("condition")) != 1 else data.values("condition")[0],
        contrast=contrasts[0] if contrasts else "ipt_vs_control",
        phase=phases[0] if len(phases) == 1 else "all",
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 10**9 else 0


def make_server(shared: Shared) -> Callable[[Inputs, Outputs, Session], None]:
    """Return the function that Shiny calls for every session."""

    def server(input: Inputs, output: Outputs, session: Session) -> None:
        from shiny import reactive

        async def send(message: dict[str, Any]) -> None:
            await session.send_custom_message(MESSAGE, message)

        visit = Visit(shared, send)
        session.on_ended(visit.close)

        def on(name: str, answer: Callable[[Any], Any]) -> None:
            @reactive.effect
            @reactive.event(input[name])
            async def _() -> None:
                value = input[name]()
                if value is None:
                    return
                try:
                    await answer(value)
                except Exception as error:
                    await send({"regions": {"messages": bullets([reference(error)], "problems")}, "turn": visit.turn})

        on("query", lambda value: visit.show(value if isinstance(value, dict) else {}))
        on("card", lambda value: visit.card(str(value)))
        on("download", lambda value: visit.download(str(value)))
        on("upload", lambda value: visit.upload(value if isinstance(value, dict) else {}))
        on("forget_upload", lambda value: visit.forget_upload())

    return server
