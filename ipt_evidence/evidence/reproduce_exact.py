"""Statements that must come out to the last printed digit, whatever the trials: the conventions themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.evidence.reproduce_declared import Exact
from ipt_evidence.evidence.reproduce_select import in_words, select_rows
from ipt_evidence.evidence.reproduce_verdict import Result, Verdict

if TYPE_CHECKING:
    import pandas as pd

HALF_UNIT = 0.5
SLACK = 1e-9


def exact_rows(statements: Iterable[Exact], studies: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one line per statement, with the columns of :meth:`Reproduction.tidy`."""
    return [_row(statement, studies) for statement in statements]


def _row(statement: Exact, studies: pd.DataFrame) -> dict[str, Any]:
    from ipt_evidence.evidence.reproduce import DESCRIBED, NUMBERS, ending

    ours, trials = _computed(statement, studies)
    verdict = _judge(statement, ours)
    kind = "rows" if statement.within is not None else "g" if statement.nnt is None else "NNT"
    start: dict[str, Any] = {"published_id": "", **dict.fromkeys(DESCRIBED, "")}
    start |= {"comparison": statement.name, "measure": kind, "kind": "exact"}
    start |= {f"{name}_published": statement.printed.get(name, math.nan) for name in NUMBERS}
    line = start | ending(ours, ours.estimate - statement.printed["estimate"], verdict)
    selection = "" if statement.select is None else in_words(statement.select)
    convention = "" if statement.how is None else statement.how.why.strip()
    return line | {"trials": trials, "selection": selection, "why": statement.source, "convention": convention}


def _computed(statement: Exact, studies: pd.DataFrame) -> tuple[Result, str]:
    """Return what comes out, and from which trials."""
    from ipt_evidence.effects.convert import nnt

    if statement.nnt is not None:
        return Result(math.nan, float(nnt(**statement.nnt)), math.nan, math.nan), ""
    assert statement.select is not None
    assert statement.how is not None
    rows = select_rows(studies, statement.select)
    if statement.within is not None:
        return _agreement(rows, statement), ""
    from ipt_evidence.effects.compute import effect_sizes
    from ipt_evidence.pooling.fit import pool
    from ipt_evidence.pooling.settings import with_dependence

    fit = pool(effect_sizes(rows, **statement.how.effects), **with_dependence(statement.how.pooling))  # type: ignore[arg-type]
    names = "; ".join(dict.fromkeys(rows["study"].astype(str)))
    return Result(fit.k, fit.estimate, fit.ci_low, fit.ci_high), names


def _agreement(rows: pd.DataFrame, statement: Exact) -> Result:
    """Return how many rows give the printed effect and standard error from their raw numbers."""
    from ipt_evidence.effects.compute import effect_sizes

    assert statement.how is not None
    made = effect_sizes(rows, **statement.how.effects)
    off = np.maximum(
        (made["effect"] - made["reported_effect"] * made["favours_ipt_sign"]).abs().to_numpy(dtype=float),
        (made["std_error"] - made["reported_effect_se"]).abs().to_numpy(dtype=float),
    )
    return Result(len(rows), float((off <= statement.within).sum()), math.nan, math.nan)


def _judge(statement: Exact, ours: Result) -> Verdict:
    """Compare with half a unit of the last printed digit."""
    wrong = [
        f"{name} is {value:.4f} and {printed:.{statement.decimals[name]}f} is printed"
        for name, printed in statement.printed.items()
        if not abs((value := float(getattr(ours, name))) - printed)
        <= HALF_UNIT * 10.0 ** -statement.decimals[name] + SLACK
    ]
    return Verdict("different", "; ".join(wrong)) if wrong else Verdict("reproduced", "")
