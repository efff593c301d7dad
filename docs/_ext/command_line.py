"""The page of the command line, read off the commands themselves."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from project_pages import write_if_new

PROGRAM = "ipt-evidence"


def commands(group: Any = None, name: str = PROGRAM) -> Iterator[tuple[str, Any]]:
    """Yield every command that can be run with its full name, in the order of the help."""
    if group is None:
        from typer.main import get_command

        from ipt_evidence.cli import app

        group = get_command(app)
    for word, command in group.commands.items():
        if command.hidden:
            continue
        full = f"{name} {word}"
        if hasattr(command, "commands"):
            yield from commands(command, full)
        else:
            yield full, command


def is_option(parameter: Any) -> bool:
    """Return whether a parameter is an option; the others stand on the line by their place."""
    return any(name.startswith("-") for name in parameter.opts)


def choices(parameter: Any) -> list[str]:
    """Return the values a parameter is limited to; an empty list when it is not."""
    listed = getattr(getattr(parameter, "type", None), "choices", None)
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if listed is None and inspect.isclass(annotation) and issubclass(annotation, enum.Enum):
        listed = [member.value for member in annotation]
    return [str(getattr(value, "value", value)) for value in listed or ()]


def default(parameter: Any) -> str:
    """Return the default in words; empty where the help says what happens instead."""
    value = getattr(parameter.default, "value", parameter.default)
    if parameter.required:
        return "needed"
    if (
        value in (None, ())
        or callable(value)
        or parameter.show_default is False
        or getattr(parameter, "is_flag", False)
    ):
        return ""
    return f"`{value}`"


def row(parameter: Any) -> str:
    """Return one line of a table of options."""
    names = ", ".join(f"`{name}`" for name in sorted([*parameter.opts, *parameter.secondary_opts], key=len))
    if not is_option(parameter):
        names = f"`{parameter.name.upper()}`"
    said = (parameter.help or "").replace("|", r"\|").replace("\n", " ")
    if allowed := choices(parameter):
        said = f"{said} One of {', '.join(f'`{value}`' for value in allowed)}."
    return f"| {names} | {said.strip()} | {default(parameter)} |"


def usage(name: str, command: Any) -> str:
    """Return how a command is typed."""
    places = [parameter for parameter in command.params if not is_option(parameter)]
    words = [f"{place.name.upper()}{'...' if place.nargs == -1 else ''}" for place in places]
    needed = [
        f"{max(p.opts, key=len)} {p.name.upper()}"
        for p in command.params
        if is_option(p) and p.required and not p.hidden
    ]
    return " ".join([name, *words, *needed, "[OPTIONS]"])


def section(name: str, command: Any) -> list[str]:
    """Return the section of one command: what it does, how it is typed, every option under its heading."""
    text = inspect.cleandoc(command.help or "")
    lines = [f"## {name}", "", text, "", "```console", usage(name, command), "```", ""]
    shown = [
        parameter
        for parameter in command.params
        if not getattr(parameter, "hidden", False) and parameter.name != "help"
    ]
    panels: dict[str, list[Any]] = {}
    for parameter in shown:
        panel = getattr(parameter, "rich_help_panel", None) or ("Options" if is_option(parameter) else "Arguments")
        panels.setdefault(panel, []).append(parameter)
    for panel in sorted(panels, key=lambda panel: panel != "Arguments"):
        lines += [
            f"**{panel}**",
            "",
            f"| {'argument' if panel == 'Arguments' else 'option'} | what | default |",
            "|---|---|---|",
            *map(row, panels[panel]),
            "",
        ]
    return lines


def page() -> str:
    """Return the text of the page below its title."""
    lines: list[str] = []
    for name, command in commands():
        lines += section(name, command)
    return "\n".join(lines)


def write(path: Path) -> None:
    """Write the page where it is included from."""
    write_if_new(path, page())
