"""From a formula and a table to a design matrix, and back: which rows can be used, which columns carry information.

References
----------
Wilkinson GN, Rogers CE. Symbolic description of factorial models for analysis of variance. J R Stat Soc C
1973;22:392-399. doi:10.2307/2346786
Fox J, Monette G. Generalized collinearity diagnostics. J Am Stat Assoc 1992;87:178-183.
doi:10.1080/01621459.1992.10475190
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import NotEstimableError, OptionError, Problem, SchemaError
from ipt_evidence.pooling.kernel import Array

COLLINEAR = 1e-10
MADE_BY_POOLING = frozenset({"effect", "variance", "std_error", "ci_low", "ci_high", "n_effects", "combined", "study"})
MAY_DIFFER = MADE_BY_POOLING | {"n_1", "n_2", "total_1", "total_2"}
INTERCEPT = "Intercept"
NO_MODERATOR = "no value of moderator"
LISTED = 5
QUOTED = re.compile(r"`([^`]*)`")
COLOURS = re.compile(r"\x1b\[[0-9;]*m|[\u29d8-\u29db]")


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A design matrix with what is needed to build the same columns from new data.

    Attributes
    ----------
    formula : str
        Right-hand side, such as ``"~ n_sessions + C(format)"``.
    x : numpy.ndarray
        Shape ``(k, p)``, the intercept first.
    names : tuple of str
        Column names.
    terms : mapping of str to tuple of int
        The columns of each term of the formula, the intercept left out.
    variables : tuple of str
        Columns of the table that the formula uses.
    levels : mapping of str to tuple
        Levels of each categorical factor; the first is the reference unless the formula says otherwise.
    """

    formula: str
    x: Array
    names: tuple[str, ...]
    terms: Mapping[str, tuple[int, ...]]
    variables: tuple[str, ...]
    levels: Mapping[str, tuple[Hashable, ...]]
    spec: Any = field(repr=False)
    order: tuple[int, ...] = field(repr=False, default=())

    @property
    def has_intercept(self) -> bool:
        """Whether the first column is the intercept."""
        return INTERCEPT in self.names

    @property
    def tested(self) -> tuple[int, ...]:
        """The columns of the omnibus test: all but the intercept; all when there is none."""
        return tuple(range(int(self.has_intercept and len(self.names) > 1), len(self.names)))


def formula_variables(formula: str, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns of `frame` that the formula uses, in the order of the frame.

    Raises
    ------
    OptionError
        The formula cannot be read, has a left-hand side, or uses a name that is neither a column nor a function.

    Notes
    -----
    Formulas are evaluated, so they may only call the functions of formulas (``C``, ``poly``, ``center``, ...) and
    NumPy's elementwise ones: a formula typed into a form cannot reach the machine.
    """
    known = {str(c) for c in frame.columns} | MADE_BY_POOLING
    used: set[str] = set()
    problems: list[str] = []
    for expression in dict.fromkeys(factor.expr for term in _parse(formula) for factor in term.factors):
        if expression in known:
            used.add(expression)
            continue
        columns, wrong = read_expression(expression, known)
        used |= columns
        problems += wrong
    if problems:
        raise OptionError(f"the formula {formula!r} uses {'; '.join(dict.fromkeys(problems))}")
    return tuple(c for c in dict.fromkeys([*map(str, frame.columns), *sorted(MADE_BY_POOLING)]) if c in used)


def read_expression(expression: str, known: set[str]) -> tuple[set[str], list[str]]:
    """Return the columns that one factor of a formula uses, and what it may not use."""
    from formulaic.transforms import TRANSFORMS

    quoted = QUOTED.findall(expression)
    try:
        tree = ast.parse(QUOTED.sub("_column_", expression), mode="eval")
    except SyntaxError:
        return set(), [_unknown(expression, known)]
    columns, problems = {q for q in quoted if q in known}, [_unknown(q, known) for q in quoted if q not in known]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in known:
            columns.add(node.id)
        elif isinstance(node, ast.Name) and node.id not in TRANSFORMS and node.id != "_column_":
            problems.append(_unknown(node.id, known))
        elif isinstance(node, ast.Attribute) and not _is_elementwise(node):
            problems.append(f"{ast.unparse(node)!r}, which is not a function that formulas may call")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Q":
            columns |= {a.value for a in node.args if isinstance(a, ast.Constant) and a.value in known}
    return columns, problems


def _is_elementwise(node: ast.Attribute) -> bool:
    owner = node.value.id if isinstance(node.value, ast.Name) else ""
    if owner == "np":
        return isinstance(getattr(np, node.attr, None), np.ufunc)
    return owner == "contr" and not node.attr.startswith("_")


def _unknown(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{name!r}{meant}, which is neither a column of the table nor a function of formulas"


@lru_cache(maxsize=64)
def _read_formula(formula: str) -> Any:
    from formulaic import Formula

    return Formula(formula)


def _parse(formula: str) -> Any:
    from formulaic.errors import FormulaicError

    if not isinstance(formula, str) or not formula.strip():
        raise OptionError(f"formula must be text such as '~ n_sessions + C(format)'; received {formula!r}")
    try:
        parsed = _read_formula(formula)
    except (FormulaicError, SyntaxError) as error:
        reason = " ".join(COLOURS.sub("", str(error)).split())
        raise OptionError(f"the formula {formula!r} cannot be read: {reason}") from None
    if not hasattr(parsed, "required_variables") or not hasattr(parsed, "__len__") or hasattr(parsed, "lhs"):
        raise OptionError(
            f"the formula {formula!r} must have only a right-hand side, such as '~ n_sessions'; the effects are always "
            "the column 'effect'"
        )
    return parsed


def missing_moderators(frame: pd.DataFrame, variables: Sequence[str]) -> npt.NDArray[np.object_]:
    """Return for each row which moderators have no value, as a reason; empty where all have one.

    An empty text counts as missing. Columns that pooling computes are not looked at.
    """
    lacking: list[list[str]] = [[] for _ in range(len(frame))]
    for name in variables:
        if name in MADE_BY_POOLING or name not in frame.columns:
            continue
        values = frame[name]
        empty = values.isna().to_numpy(dtype=bool)
        if not pd.api.types.is_numeric_dtype(values.dtype):
            empty = empty | values.map(lambda x: isinstance(x, str) and not x.strip()).to_numpy(dtype=bool)
        for i in np.flatnonzero(empty):
            lacking[int(i)].append(name)
    reasons = [f"{NO_MODERATOR}{'s' if len(m) > 1 else ''} {', '.join(map(repr, m))}" if m else "" for m in lacking]
    return np.array(reasons, dtype=object)


def check_constant(frame: pd.DataFrame, variables: Sequence[str], unit: npt.NDArray[np.intp]) -> None:
    """Raise when a moderator differs between rows that are combined into one.

    Raises
    ------
    SchemaError
        Every moderator and unit is named, with its values.
    """
    used = np.flatnonzero(unit >= 0)
    problems = []
    for name in variables:
        if name in MAY_DIFFER:
            continue
        values = frame[name].iloc[used]
        for code, block in values.groupby(unit[used], sort=True):
            distinct = list(dict.fromkeys(block))
            if len(distinct) > 1:
                first = int(used[np.flatnonzero(unit[used] == code)[0]])
                label = next((str(frame[c].iloc[first]) for c in ("study", "trial_id") if c in frame.columns), "")
                shown = ", ".join(map(str, distinct))
                message = f"{label}: expected one value per trial, found {shown}"
                problems.append(Problem(message, row=first + 1, column=name))
    if problems:
        raise SchemaError(
            problems,
            "moderators differ between rows that are combined into one effect; select one row per trial, or keep "
            "all with dependence='independent' and cluster='trial_id'",
        )


def build_design(formula: str, frame: pd.DataFrame, variables: tuple[str, ...]) -> Design:
    """Return the design matrix of the rows of `frame`, which has no missing moderators.

    Raises
    ------
    OptionError
        The formula cannot be evaluated.
    NotEstimableError
        No more rows than columns, a moderator that does not vary, or a column that others determine; all are named.
    SchemaError
        A cell of the design is not finite.
    """
    from formulaic.errors import FormulaicError

    data = _plain(frame, variables)
    try:
        matrix = _materialise(_parse(formula), data)
    except (FormulaicError, TypeError, ValueError, SyntaxError) as error:
        raise OptionError(f"the formula {formula!r} cannot be evaluated: {error}") from None
    spec = matrix.model_spec
    slices = {str(term): (s.start, s.stop) for term, s in spec.term_slices.items()}
    names = [str(c) for c in matrix.columns]
    order = sorted(range(len(names)), key=lambda j: names[j] != INTERCEPT)
    position = {old: new for new, old in enumerate(order)}
    terms = {t: tuple(position[j] for j in range(a, b)) for t, (a, b) in slices.items() if t != "1"}
    _refuse_constant(terms, data)
    x = np.asarray(matrix, dtype=float)[:, order]
    names = [names[j] for j in order]
    if not names:
        raise OptionError(f"the formula {formula!r} has no terms; '~ 1' is the model without moderators")
    if len(x) <= len(names):
        raise NotEstimableError(
            f"{formula!r} has {len(names)} coefficients ({', '.join(names)}) and there are {len(x)} trials; at least "
            f"{len(names) + 1} are needed"
        )
    _refuse_not_finite(x, names, frame)
    _refuse_collinear(x, names)
    levels = {
        str(f): tuple(state[1]["categories"]) for f, state in spec.encoder_state.items() if "categories" in state[1]
    }
    return Design(formula, x, tuple(names), terms, variables, levels, spec, tuple(order))


def _materialise(source: Any, data: pd.DataFrame) -> Any:
    from formulaic.errors import DataMismatchWarning

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("error", DataMismatchWarning)
        return source.get_model_matrix(data, context={}, na_action="ignore")


def _plain(frame: pd.DataFrame, variables: Sequence[str]) -> pd.DataFrame:
    """Return the moderators with plain dtypes and without unused categories."""
    columns: dict[str, Any] = {}
    for name in variables:
        values = frame[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            columns[name] = values.cat.remove_unused_categories().array
        elif pd.api.types.is_bool_dtype(values.dtype):
            columns[name] = values.to_numpy(dtype=bool)
        elif pd.api.types.is_numeric_dtype(values.dtype):
            columns[name] = values.to_numpy(dtype=float, na_value=np.nan)
        else:
            columns[name] = values.to_numpy(dtype=object)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(frame)))


def _refuse_constant(terms: Mapping[str, tuple[int, ...]], data: pd.DataFrame) -> None:
    flat = [t for t, columns in terms.items() if not columns]
    if flat:
        told = []
        for term in flat:
            name = term if term in data.columns else next(iter(read_expression(term, set(data.columns))[0]), "")
            values = f" (always {data[name].iloc[0]!r})" if name else ""
            told.append(f"{term!r}{values}")
        raise NotEstimableError(
            f"{', '.join(told)} has one value in the {len(data)} rows used, so its effect cannot be "
            "estimated; leave it out"
        )


def _refuse_not_finite(x: Array, names: Sequence[str], frame: pd.DataFrame) -> None:
    row, column = np.nonzero(~np.isfinite(x))
    if row.size:
        label = "study" if "study" in frame.columns else None
        problems = [
            Problem(
                f"{frame[label].iloc[i] if label else f'unit {i + 1}'}: the moderator is not a finite number",
                column=names[int(j)],
                value=str(x[i, j]),
            )
            for i, j in zip(row, column, strict=True)
        ]
        raise SchemaError(problems, "the formula gives values that are not finite")


def _refuse_collinear(x: Array, names: Sequence[str]) -> None:
    """Raise when a column is a combination of earlier ones, naming both."""
    kept: list[int] = []
    found = []
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = x / np.sqrt((x / np.abs(x).max(axis=0)) ** 2).sum(axis=0) / np.abs(x).max(axis=0)
    for j, name in enumerate(names):
        if not np.abs(x[:, j]).max() > 0:
            found.append(f"{name!r} is zero in every row")
            continue
        rest = unit[:, j]
        if kept:
            coefficients = np.linalg.lstsq(unit[:, kept], rest, rcond=None)[0]
            rest = rest - unit[:, kept] @ coefficients
            if np.linalg.norm(rest) <= COLLINEAR * np.linalg.norm(unit[:, j]):
                by = [names[i] for i, c in zip(kept, coefficients, strict=True) if abs(c) > 1e-8]
                found.append(f"{name!r} is determined by {', '.join(map(repr, by))}")
                continue
        kept.append(j)
    if found:
        more = f"; and {len(found) - LISTED} more" if len(found) > LISTED else ""
        raise NotEstimableError(
            f"the moderators are collinear in the {len(x)} rows used: {'; '.join(found[:LISTED])}{more}. Leave one of "
            "them out."
        )


def orthonormal_basis(x: Array) -> Array:
    """Return an orthonormal basis of the columns as rows, ``(p, k)``; the first row spans the first column."""
    scaled = x / np.abs(x).max(axis=0)
    return np.ascontiguousarray(np.linalg.qr(scaled)[0].T)


def new_rows(
    design: Design, data: pd.DataFrame | Mapping[str, Any]
) -> tuple[pd.DataFrame, Array, npt.NDArray[np.object_]]:
    """Return new data as a table, its design rows (NaN where a moderator is missing) and the reasons.

    Raises
    ------
    OptionError
        A column is missing, or a category was not among the rows of the fit.
    """
    from formulaic.errors import DataMismatchWarning, FormulaicError

    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    absent = [c for c in design.variables if c not in frame.columns]
    if absent:
        raise OptionError(f"newdata has no column {', '.join(map(repr, absent))}; {design.formula!r} needs it")
    why = missing_moderators(frame, design.variables)
    for name in set(design.variables) & MADE_BY_POOLING:
        why = np.where(frame[name].isna() & (why == ""), f"{NO_MODERATOR} {name!r}", why)
    x = np.full((len(frame), len(design.names)), np.nan)
    complete = why == ""
    if complete.any():
        rows = frame.loc[complete]
        _refuse_new_levels(design, rows)
        try:
            matrix = _materialise(design.spec, _plain(rows, design.variables) if design.variables else rows)
        except DataMismatchWarning as error:
            raise OptionError(f"newdata has a category that was not among the rows of the fit: {error}") from None
        except (FormulaicError, TypeError, ValueError) as error:
            raise OptionError(f"newdata does not fit the formula {design.formula!r}: {error}") from None
        x[complete] = np.asarray(matrix, dtype=float)[:, list(design.order)]
    return frame, x, why


def _refuse_new_levels(design: Design, rows: pd.DataFrame) -> None:
    problems = []
    for factor, levels in design.levels.items():
        name = factor if factor in rows.columns else next(iter(read_expression(factor, set(design.variables))[0]), None)
        if name is None:
            continue
        unseen = [v for v in dict.fromkeys(rows[name]) if v not in levels]
        if unseen:
            problems.append(
                f"{name!r} has {', '.join(map(repr, unseen))}; the fit knows {', '.join(map(repr, levels))}"
            )
    if problems:
        raise OptionError(f"newdata has categories that were not among the rows of the fit: {'; '.join(problems)}")
