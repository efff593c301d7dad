"""The choices of a multiverse as people write them in a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import OptionError
from ipt_evidence.evidence.multiverse_choices import (
    ALL,
    DEFAULT_HOW,
    How,
    Selector,
    analyses_of,
    check_how,
    combinations_of,
)
from ipt_evidence.evidence.reproduce_reading import Reader, read_yaml
from ipt_evidence.evidence.reproduce_select import Select, mask_of, problems_of
from ipt_evidence.sources.showing import readable, table_html

if TYPE_CHECKING:
    import pandas as pd

TITLE = "the choices of the multiverse cannot be used"
PARTS = ("which", "how")


@readable
@dataclass(frozen=True, slots=True)
class Choices:
    """What a file says; ``None`` for a part that it leaves out, which then has its defaults.

    Attributes
    ----------
    which, how : mapping or None
        As for :func:`ipt_evidence.multiverse`.
    """

    which: Mapping[str, Mapping[str, Selector]] | None = None
    how: How | None = None

    def _repr_html_(self) -> str:
        import pandas as pd

        said: dict[str, Mapping[str, Any]] = {"which": self.which or {}, "how": dict(self.how or {})}
        rows = [
            {"part": part, "choice": choice, "options": ", ".join(map(str, options))}
            for part, choices in said.items()
            for choice, options in choices.items()
        ]
        silent = [part for part, choices in zip(PARTS, (self.which, self.how), strict=True) if choices is None]
        notes = [f"Nothing is said about {part!r}: its defaults hold." for part in silent]
        return table_html(pd.DataFrame(rows, columns=["part", "choice", "options"]), "Choices of a multiverse", notes)


def read_choices(path: str | PathLike[str], effects: pd.DataFrame) -> Choices:
    r"""Read the choices of a multiverse from a YAML file and check them against the data.

    Parameters
    ----------
    path : path-like
        The file. Under ``which`` every choice has its options: a name and ``all``, or columns with the values that
        stay (``column_not`` for those that leave, ``column_from`` and ``column_to`` for limits of a number). Under
        ``how`` every choice of :func:`ipt_evidence.multiverse` has a list of values.
    effects : pandas.DataFrame
        The table that will be analysed.

    Returns
    -------
    Choices
        With `which` and `how` for :func:`ipt_evidence.multiverse`.

    Raises
    ------
    SchemaError
        The file cannot be read, or choices cannot be used; every one of them is named.

    Examples
    --------
    >>> import pandas as pd, pathlib, tempfile
    >>> table = pd.DataFrame({"effect": [0.2, 0.5], "variance": 0.04, "rating": ["self", "clinician"]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "choices.yaml")
    ...     _ = path.write_text("which: {rating: {any: all, own: {rating: self}}}\nhow: {rho: [0.4, 0.6]}\n")
    ...     choices = read_choices(path, table)
    >>> list(choices.which["rating"]), choices.how
    (['any', 'own'], {'rho': [0.4, 0.6]})
    """
    content, name = read_yaml(path, TITLE)
    reader = Reader(name)
    if not isinstance(content, Mapping):
        reader.wrong("", "expected the parts which and how, or one of them")
        reader.finish(TITLE)
    reader.keys(content, "the file", PARTS)
    which = _which(reader, content["which"], effects) if "which" in content else None
    how = _how(reader, content["how"]) if "how" in content else None
    if which is None and how is None:
        reader.wrong("", "has neither which nor how")
    reader.finish(TITLE)
    return Choices(which, how)


def _which(reader: Reader, content: Any, effects: pd.DataFrame) -> dict[str, dict[str, Selector]]:
    if not isinstance(content, Mapping) or not content:
        reader.wrong("which", "expected names of choices, each with its options")
        return {}
    found: dict[str, dict[str, Selector]] = {}
    for name, options in content.items():
        where = f"which, {name}"
        if not isinstance(options, Mapping) or not options:
            reader.wrong(where, "expected names of options, each 'all' or columns with values")
            continue
        found[str(name)] = {
            str(label): _selector(reader, cell, where, label, effects) for label, cell in options.items()
        }
    return found


def _selector(reader: Reader, cell: Any, where: str, label: Any, effects: pd.DataFrame) -> Selector:
    if cell == ALL:
        return None
    select: Select = reader.select(cell, where, f"option {label!r}")
    problems = problems_of(effects, select)
    for problem in problems:
        reader.wrong(where, f"option {label!r}: {problem}")
    return None if problems else partial(mask_of, select=select)


def _how(reader: Reader, content: Any) -> How | None:
    if not isinstance(content, Mapping) or not content:
        reader.wrong("how", f"expected lists of values for {', '.join(DEFAULT_HOW)}")
        return None
    given: dict[str, Any] = {}
    for name, values in content.items():
        listed = values if isinstance(values, list) else [values]
        try:
            given[str(name)] = [float(x) for x in listed] if name == "rho" else listed
        except (TypeError, ValueError):
            reader.wrong("how", f"rho must be a list of numbers; received {values!r}")
    try:
        complete = check_how(given)
        analyses_of(complete)
        combinations_of(complete)
    except OptionError as error:
        reader.wrong("how", str(error))
    return given  # type: ignore[return-value]
