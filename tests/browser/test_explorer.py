"""The explorer as its users meet it: a real browser, a real server, numbers compared with those of the package.

One server and one browser serve all tests, each in a fresh context. A context fails its test when the page logs an
error, breaks its own Content-Security-Policy, or asks anything of another computer.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pandas as pd
import pytest

import ipt_evidence as ipt
from tests.browser.chromium import ARGUMENTS, HOW, find_chromium

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
pytest.importorskip("shiny", reason="shiny is not installed: pip install 'ipt-evidence[app]'")

WAIT = 60_000
"""Milliseconds until a test gives up; on a quiet computer an answer takes 200."""
TABS = ("forest", "trials", "robustness", "small", "subgroups", "claims", "compare", "code")
COLOURS = ["color-contrast"]
SERIOUS = ("serious", "critical")
GOOD = (
    "slab,m1i,sd1i,n1i,m2i,sd2i,n2i,lower_is_better\n"
    "A <script>window.hacked=1</script> 2001,9,5,30,12,5,30,1\n"
    '"<img src=x onerror=""window.hacked=1"">",8,5,40,12,6,40,1\n'
    "C 2003,10,5,50,11,6,50,1\n"
)
BROKEN = "trial_id,contrast,condition,mean_1,sd_1,n_1\n<b>a</b>,ipt_vs_control,mood,nine,5,-3\n"

Page = Any


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    command = [sys.executable, "-m", "ipt_evidence", "explore", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
        try:
            assert found is not None, "the server did not start"
            with urlopen(found[0], timeout=WAIT / 1000) as page:
                assert b'id="estimate"' in page.read(), "the page has no result"
            yield found[0]
        finally:
            process.terminate()
            said = process.communicate(timeout=20)[1]
    assert "Traceback" not in said, said


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    executable = find_chromium()
    if not executable:
        pytest.skip(f"no Chromium was found: {HOW}")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Callable[..., Page]]:
    """Open an address of the explorer in a context of its own and wait for its first answer."""
    contexts, wrong = [], []

    def open_page(query: str = "", *, settled: bool = True, **options: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1200, "height": 900}} | options))
        context.set_default_timeout(WAIT)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda said: said.type == "error" and wrong.append(f"console: {said.text}"))
        page.on("request", lambda request: _is_local(request.url) or wrong.append(f"request: {request.url}"))
        page.on("websocket", lambda socket: _is_local(socket.url) or wrong.append(f"websocket: {socket.url}"))
        page.goto(server + query)
        if settled:
            answer(page, "0")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob") or parts.hostname == "127.0.0.1"


def turn(page: Page) -> str:
    return str(page.locator("body").get_attribute("data-turn"))


def answer(page: Page, before: str) -> None:
    """Wait until the page has an answer that it did not have at turn `before`, and asks for nothing more."""
    page.locator(f'body[data-connected="true"][data-busy="false"]:not([data-turn="{before}"])').wait_for()


def filled(page: Page) -> None:
    """Wait until nothing on the page is still being made."""
    sync_api.expect(page.locator('main [aria-busy="true"]')).to_have_count(0, timeout=WAIT)


def after(page: Page, act: Callable[[], Any]) -> None:
    """Do something and wait for the answer."""
    before = turn(page)
    act()
    answer(page, before)


def reload(page: Page) -> None:
    page.reload()
    answer(page, "0")


def number(page: Page, name: str = "estimate", attribute: str = "data-value") -> float:
    return float(page.locator(f"#{name}").get_attribute(attribute))


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    return ipt.effect_sizes(ipt.load_dataset("ipt", analysis_set="primary"))


def pooled(effects: pd.DataFrame, *, condition: str = "depression", out: tuple[str, ...] = ()) -> ipt.PooledFit:
    wanted = (effects["condition"] == condition) & (effects["contrast"] == "ipt_vs_control")
    wanted &= (effects["phase"] == "acute") & ~effects["trial_id"].isin(out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ipt.pool(effects[wanted])


def test_the_numbers_are_those_of_the_package(visit: Callable[..., Page], effects: pd.DataFrame) -> None:
    page = visit()
    fit = pooled(effects)
    assert (number(page), number(page, "ci", "data-low"), number(page, "k")) == (fit.estimate, fit.ci_low, fit.k)
    after(page, lambda: page.locator("#condition").select_option("anxiety"))
    fit = pooled(effects, condition="anxiety")
    assert (number(page), number(page, "ci", "data-high"), number(page, "k")) == (fit.estimate, fit.ci_high, fit.k)
    assert "condition=anxiety" in page.url
    assert page.locator(".forest input[data-tick]").count() == fit.k
    after(page, page.go_back)
    assert number(page) == pooled(effects).estimate
    after(page, lambda: page.locator("input[data-tick=bolton2003]").uncheck())
    fit = pooled(effects, out=("bolton2003",))
    assert number(page) == fit.estimate
    assert page.locator("tr.forest-out").count() == 1
    assert page.locator("input[data-tick=bolton2003]").is_checked() is False
    assert f"{fit.estimate:.2f}" in page.locator("tr.forest-overall").inner_text()
    assert f"{fit.estimate:.2f}" in page.locator("#sentence").inner_text()
    reload(page)
    assert number(page) == fit.estimate
    after(page, lambda: page.locator("#reset").click())
    assert number(page) == pooled(effects).estimate
    assert urlsplit(page.url).query == ""


def test_a_card_opens_and_escape_goes_back(visit: Callable[..., Page]) -> None:
    page = visit()
    button = page.locator("button[data-card=elkin1989]")
    button.click()
    card = page.locator("dialog#card[open]")
    card.wait_for()
    text = card.inner_text()
    for expected in ("Elkin 1989", "BDI", "10.6", "Allocation concealment", "g 0.36"):
        assert expected in text
    link = card.locator('a[href="https://doi.org/10.1001/archpsyc.1989.01810110013002"]').first
    assert link.get_attribute("rel") == "noopener noreferrer"
    page.keyboard.press("Escape")
    card.wait_for(state="detached")
    assert button.evaluate("b => b === document.activeElement")


def send(page: Page, name: str, content: bytes) -> str:
    """Upload a file and return what the page says of it."""
    result = page.locator("#upload-result")
    if not page.locator("#section-upload").evaluate("d => d.open"):
        page.locator("#summary-upload").click()
    page.locator("#upload-file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
    sync_api.expect(result).to_have_text(re.compile(r"\S"), timeout=WAIT)
    sync_api.expect(result).not_to_have_text(re.compile("^(Reading|Checking) "), timeout=WAIT)
    return str(result.inner_text())


def test_files_of_users(visit: Callable[..., Page]) -> None:
    page = visit()
    before = number(page)
    said = send(page, "mine.csv", BROKEN.encode())
    assert "mine.csv, row 2, column 'mean_1', value 'nine'" in said
    assert "column 'n_1', value '-3'" in said
    assert "Traceback" not in said
    assert "/" not in said
    assert number(page) == before
    page.locator("#upload-result").evaluate("e => { e.textContent = '' }")
    after(page, lambda: send(page, "good.csv", GOOD.encode()))
    assert number(page, "k") == 3
    page.wait_for_function("Shiny.shinyapp.$inputValues.upload === null")
    assert page.locator("#panel-forest").get_by_text("A <script>window.hacked=1</script> 2001").count() == 1
    page.locator("button[data-card]").nth(1).click()
    heading = page.locator("#card-title")
    heading.wait_for()
    assert heading.inner_text() == '<img src=x onerror="window.hacked=1">'
    assert page.evaluate("window.hacked") is None
    page.keyboard.press("Escape")
    after(page, lambda: page.locator("#upload-remove").click())
    assert number(page) == before


def test_a_file_that_is_too_large_is_not_even_sent(visit: Callable[..., Page]) -> None:
    page = visit()
    sent: list[int] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(len(frame))))
    reload(page)
    said = send(page, "large.csv", b"a,b\n" * 1_300_000)
    assert "large.csv has 5.2 MB; an upload may have at most 5 MB." in said
    assert sent
    assert max(sent) < 100_000


def test_the_code_gives_the_same_number(visit: Callable[..., Page], tmp_path: Path) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    page = visit("?tab=code&tau2=DL&ci=wald&out=elkin1989&year_from=1995", permissions=allowed)
    page.locator("#copy-code").click()
    page.locator("#copy-status", has_text="Copied").wait_for()
    code = page.evaluate("navigator.clipboard.readText()")
    assert code == page.locator("#code").inner_text()
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code.replace("print(", "str("), "copied", "exec"), names)
    assert names["fit"].estimate == number(page)
    assert names["fit"].method.tau2_method == "DL"
    with page.expect_download() as started:
        page.locator('button[data-download="report.html"]').click()
    path = tmp_path / "report.html"
    started.value.save_as(path)
    report = path.read_text(encoding="utf-8")
    assert report.lstrip().startswith("<!DOCTYPE html>") or report.lstrip().startswith("<!doctype html>")
    assert f"{number(page):.2f}" in report
    assert "DerSimonian" in report or "DL" in report


@pytest.mark.parametrize(
    "query",
    [
        "?condition=%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E&tau2=nonsense&year_from=-5&out=%22%3E%3Cb%3E&rho=abc",
        "?data=upload&vs=%00%FF&axis=1e999&level=2&group=__class__&tab=..%2F..",
    ],
)
def test_bad_addresses_show_the_page_and_say_so(visit: Callable[..., Page], query: str) -> None:
    page = visit(query)
    assert page.locator("#messages").inner_text().strip() != ""
    assert page.evaluate("window.hacked") is None
    assert number(page, "k") > 0
    assert page.locator("#messages script, #messages b").count() == 0


def test_an_address_without_end_is_refused_or_cut(server: str) -> None:
    host, port = server.removeprefix("http://").rstrip("/").split(":")
    connection = HTTPConnection(host, int(port), timeout=WAIT / 1000)
    connection.request("GET", f"/?out={'x' * 100_000}")
    reply = connection.getresponse()
    assert reply.status in (200, 400, 414, 431)
    assert b"Traceback" not in reply.read()
    connection.close()


def test_a_shared_address_shows_the_same_to_others(visit: Callable[..., Page], effects: pd.DataFrame) -> None:
    first = visit("?condition=depression&out=elkin1989&out=bolton2003&group=population_group")
    fit = pooled(effects, out=("elkin1989", "bolton2003"))
    assert number(first) == fit.estimate
    second = visit("?" + urlsplit(first.url).query)
    assert parse_qs(urlsplit(second.url).query)["out"] == ["bolton2003", "elkin1989"]
    assert number(second) == fit.estimate
    filled(first)
    filled(second)
    assert second.locator("#panel-forest").inner_text() == first.locator("#panel-forest").inner_text()
    assert "Test for subgroup differences" in second.locator("#panel-forest").inner_text()


def test_every_tab_fits_on_a_phone(visit: Callable[..., Page]) -> None:
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    for name in TABS:
        if name != "forest":
            after(page, lambda name=name: page.locator(f"#tab-{name}").click())
        wide = page.evaluate("[document.scrollingElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide[0] <= wide[1] == 390, (name, wide)
    after(page, lambda: page.locator("#tab-forest").click())
    assert page.locator("#condition").is_visible() is False
    page.locator("#choices-toggle").click()
    assert page.locator("#condition").is_visible()
    column = page.locator(".forest-table thead th", has_text="Weight")
    assert column.is_visible() is False


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.dataset.tick || ''"))


def test_a_journey_by_keyboard_alone(visit: Callable[..., Page], effects: pd.DataFrame) -> None:
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
    for _ in range(12):
        page.keyboard.press("Tab")
        if focused(page) == "condition":
            break
    after(page, lambda: page.keyboard.press("ArrowDown"))
    assert focused(page) == "condition"
    chosen = page.locator("#condition").input_value()
    assert chosen != "depression"
    after(page, lambda: page.keyboard.press("ArrowUp"))
    assert number(page) == pooled(effects).estimate
    page.locator("#tab-forest").focus()
    after(page, lambda: page.keyboard.press("ArrowRight"))
    assert focused(page) == "tab-trials"
    assert page.locator("#panel-trials").is_visible()
    after(page, lambda: page.keyboard.press("Home"))
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('input[data-tick]')"):
            break
    trial = focused(page)
    after(page, lambda: page.keyboard.press("Space"))
    assert number(page) == pooled(effects, out=(trial,)).estimate
    assert focused(page) == trial
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.card") == trial
    page.keyboard.press("Enter")
    page.locator("dialog#card[open]").wait_for()
    assert page.evaluate("document.querySelector('#card').contains(document.activeElement)")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.card") == trial


def axe(page: Page, place: str, rules: list[str] | None = None) -> list[str]:
    """Return what axe-core finds serious or critical in a part of the page."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": rules}
    found = page.evaluate(f"axe.run({json.dumps(place)}, {json.dumps(options)})")
    return [
        f"{v['id']}: {[node['target'] for node in v['nodes']][:4]}"
        for v in found["violations"]
        if v["impact"] in SERIOUS
    ]


def test_axe_finds_nothing_serious_light_or_dark(visit: Callable[..., Page]) -> None:
    package = pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
    script = next(Path(package.__file__).parent.rglob("axe.min.js")).read_text(encoding="utf-8")
    page = visit(color_scheme="light")
    page.evaluate(script)
    page.locator("#summary-upload").click()
    assert axe(page, "html") == []
    ground = {}
    for name in TABS:
        if name != "forest":
            after(page, lambda name=name: page.locator(f"#tab-{name}").click())
            filled(page)
            assert axe(page, f"#panel-{name}") == [], name
        page.emulate_media(color_scheme="dark")
        assert axe(page, "html" if name == "forest" else f"#panel-{name}", COLOURS) == [], f"{name}, dark"
        ground[name] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.emulate_media(color_scheme="light")
    assert ground["forest"] != page.evaluate("getComputedStyle(document.body).backgroundColor")
    after(page, lambda: page.locator("#tab-forest").click())
    page.locator("button[data-card=elkin1989]").click()
    page.locator("dialog#card[open]").wait_for()
    assert axe(page, "#card") == []
    page.evaluate("document.querySelector('#sentence').style.color = '#ddd'")
    page.keyboard.press("Escape")
    assert axe(page, "#sentence", COLOURS) != []


def test_an_answer_comes_soon(visit: Callable[..., Page]) -> None:
    page = visit()
    times = []
    for trial in ("beeber2010", "elkin1989", "grote2009"):
        start = time.perf_counter()
        after(page, lambda trial=trial: page.locator(f"input[data-tick={trial}]").uncheck())
        times.append(time.perf_counter() - start)
    assert min(times) < 3
