"""Every Python block of the README and the documentation runs and prints what the page says; every command exists."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from ipt_evidence import options
from tests.docs.pages import ROOT, blocks, hand_written, name_of, with_output

PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", *hand_written()]
WITH_PYTHON = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]
BY_HAND = {
    "docs/how-to/certainty.md": {"mine.yaml": "docs/how-to/certainty_example.yaml"}
}  # what the reader copies first
FILES = {
    "README.md": {"forest.svg"},
    "docs/how-to/journal_forest_plot.md": {"figure1.svg", "figure1.pdf", "figure1.png", "figure_s1.pdf"},
}
PROGRAM = re.compile(r"^\s*(?:\$ )?(?:\S*/)?ipt-evidence\s")


def tidy(text: str) -> str:
    """Return printed text without blanks at the ends of lines and without blank lines around it."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


@pytest.fixture
def no_figures_left() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
@pytest.mark.usefixtures("no_figures_left")
def test_python_prints_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, source in BY_HAND.get(name_of(page), {}).items():
        shutil.copy(ROOT / source, tmp_path / name)
    names: dict[str, Any] = {"__name__": "__main__"}
    for block, printed in with_output(page.read_text(encoding="utf-8")):
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec", dont_inherit=True)
        exec(code, names)
        out = capsys.readouterr().out
        if printed is not None:
            assert tidy(out) == tidy(printed), f"{name_of(page)}, line {block.line}"
    missing = FILES.get(name_of(page), set()) - {path.name for path in tmp_path.iterdir() if path.stat().st_size > 1000}
    assert not missing


def test_no_python_escapes_the_test() -> None:
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8")):
            other = re.search(
                r"^\W*(?:py(?:thon|con)?\d?|ipython\d?|code-cell|code-block|sourcecode)\b",
                block.language,
                re.IGNORECASE,
            )
            assert block.language == "python" or not other, f"{name_of(page)}, line {block.line}: write ```python"


def commands_of(page: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each call of the program on a page: its line and its words, without what other programs get."""
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language not in {"sh", "console"}:
            continue
        lines = block.text.replace("\\\n", " ").splitlines()
        for number, line in enumerate(lines):
            if PROGRAM.match(line):
                words = shlex.split(line.strip().removeprefix("$ "), comments=True)
                stop = next((i for i, word in enumerate(words) if word in {"|", ">", ">>", "&&", ";", "<"}), len(words))
                yield block.line + number, words[1:stop]


@cache
def program() -> Any:
    from typer.main import get_command

    from ipt_evidence.cli import app

    return get_command(app)


def problem_with(words: list[str]) -> str:
    """Return why the program would refuse a call, read off its own parsers; empty when it would not."""
    command = program()
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if words[0] not in command.commands:
            return f"there is no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    context = command.make_context("ipt-evidence", [], resilient_parsing=True)
    context.resilient_parsing = False
    try:
        given, rest, _ = command.make_parser(context).parse_args(list(words))
    except Exception as error:
        return str(getattr(error, "message", error))
    if hasattr(command, "commands") or "--help" in words:
        return ""
    if rest:
        return f"unexpected {rest}"
    for parameter in command.params:
        value = given.get(parameter.name)
        absent = value is None or value == () or "UNSET" in str(value).upper()
        if absent and parameter.required:
            return f"{parameter.name} is missing"
        word = "".join(part.title() for part in parameter.name.removeprefix("settings_").split("_"))
        allowed = get_args(getattr(options, word, None)) or _enum_values(parameter)
        if allowed and not absent and value not in allowed:
            return f"{parameter.name} has no choice {value!r}"
    return ""


def _enum_values(parameter: Any) -> tuple[str, ...]:
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    listed = getattr(getattr(parameter, "type", None), "choices", None) or getattr(annotation, "__members__", ())
    return tuple(str(getattr(value, "value", value)) for value in listed)


def test_every_command_of_the_pages_is_one_the_program_takes() -> None:
    found = [(name_of(page), line, words) for page in PAGES for line, words in commands_of(page)]
    assert len(found) > 15
    problems = [(place, line, words, problem_with(words)) for place, line, words in found]
    wrong = [f"{place}:{line} {' '.join(words)}: {problem}" for place, line, words, problem in problems if problem]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("pool --by condition --contrast ipt_vs_control", ""),
        ("pol --by condition", "no command"),
        ("pool --buy condition", "--buy"),
        ("pool --preset metaphor", "no choice"),
        ("pool --format tabel", "no choice"),
        ("pool --by", "--by"),
        ("pool condition", "unexpected"),
        ("forest --condition depression", "output is missing"),
        ("data validate", "missing"),
        ("--version", ""),
    ],
)
def test_wrong_commands_are_seen(call: str, said: str) -> None:
    problem = problem_with(call.split())
    assert said in problem
    assert bool(problem) == bool(said)
