"""What health articles tell patients about IPT, held against the trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import Problem, SchemaError
from ipt_evidence.evidence.claims_certainty import Evidence, certainty
from ipt_evidence.evidence.claims_declared import ClaimRule, read_claim_rules
from ipt_evidence.evidence.claims_rules import checks_of, verdict_of
from ipt_evidence.evidence.menu_data import quietly, without_blanks
from ipt_evidence.evidence.reproduce_reading import shipped
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

DECLARED = "claims.yaml"
NUMBERS = ("k", "n_participants", "estimate", "ci_low", "ci_high", "pi_low", "pi_high")
NEEDED = ("claim_id", "publisher", "claim", "condition", "phase", "contrast", "supported_when")
SHOWN = ("claim_id", "claim", "verdict", "k", "n_participants", "estimate", "ci_low", "ci_high", "checks", "certainty")
PROVENANCE = ["quote", "notes", "data_from", "source_citation", "source_doi"]
NOT_DECLARED = "no analysis is declared for it"


@readable
@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """Statements of health articles with what the trials say.

    Attributes
    ----------
    table : pandas.DataFrame
        See :meth:`tidy`.
    groups : pandas.DataFrame
        The numbers behind: one row per claim and group, `claim_id group k n_participants estimate ci_low ci_high pi_low
        pi_high i2 p_value trials without_numbers`.
    fits : mapping of (str, str) to PooledFit
        By claim and group; a claim about all rows has the group ``""``.
    declaration : str
        Name of the file with the rules.
    """

    table: pd.DataFrame = field(repr=False)
    groups: pd.DataFrame = field(repr=False)
    fits: Mapping[tuple[str, str], PooledFit] = field(repr=False)
    declaration: str

    def tidy(self) -> pd.DataFrame:
        """Return one row per claim.

        Returns
        -------
        pandas.DataFrame
            `claim_id publisher claim verdict k n_participants estimate ci_low ci_high pi_low pi_high checks certainty
            beyond why supported_when`. `verdict` is ``"supported"``, ``"not supported"``, ``"mixed"`` or ``"no
            evidence"``. The numbers are those of the group that the claim is about; a claim about several groups has
            the number of trials and participants of all, and its numbers in ``.groups``. `certainty` says how far the
            verdict can be relied on, `beyond` what the analysis cannot test.
        """
        return self.table.copy()

    def _repr_html_(self) -> str:
        counts = self.table["verdict"].value_counts(sort=False)
        said = "; ".join(f"{n} {word}" for word, n in counts.items())
        note = (
            "No evidence means that this data set has no trial with usable numbers for the claim; it does not mean "
            f"that the claim is false. Rules: {self.declaration}."
        )
        return html_table(
            without_blanks(self.table[list(SHOWN)]), f"What patients are told, and the trials: {said}", (note,)
        )


def check_claims(
    declaration: str | PathLike[str] | None = None,
    *,
    studies: pd.DataFrame | None = None,
    claims: pd.DataFrame | None = None,
    bias: bool = True,
) -> Claims:
    """Hold what health articles tell patients against the trials.

    Parameters
    ----------
    declaration : path, optional
        YAML file that says for each claim which trials and which rule decide; the shipped ``evidence/claims.yaml`` by
        default, which explains its own format. Copy and extend it.
    studies : pandas.DataFrame, optional
        Trials as in ``load_dataset("ipt", analysis_set=None)``, which is the default.
    claims : pandas.DataFrame, optional
        Claims as in ``load_dataset("claims")``, which is the default.
    bias : bool
        Say under `certainty` what the adjustments for selective publication come to, where there are ten trials.

    Returns
    -------
    Claims

    Raises
    ------
    SchemaError
        The declaration cannot be used (every problem is named), or a table lacks columns.

    Notes
    -----
    A verdict is by the rule that stands beside the claim (`supported_when`), which was written down before the
    analysis: *supported* when all it asks holds, *not supported* when nothing does, *mixed* otherwise, *no evidence*
    when the data set has no trial with usable numbers, which is not to say that the claim is false. Effects are pooled
    by the defaults of :func:`ipt_evidence.pool`, primary rows only; `certainty` says where normal intervals, or further
    trials that are kept for sensitivity analyses, would change the verdict.

    Examples
    --------
    >>> from ipt_evidence.evidence.claims import check_claims
    >>> found = check_claims(bias=False).tidy().set_index("claim_id")
    >>> found.loc[["c03", "c05", "c13"], "verdict"].tolist()
    ['no evidence', 'not supported', 'supported']
    """
    from ipt_evidence.effects.compute import effect_sizes
    from ipt_evidence.sources.registry import load_dataset

    said = load_dataset("claims") if claims is None else claims
    rows = load_dataset("ipt", analysis_set=None) if studies is None else studies
    missing = [name for name in NEEDED if name not in said.columns]
    if missing:
        raise SchemaError([Problem(f"the table of claims has no column {', '.join(missing)}")], "cannot check claims")
    path = shipped(DECLARED) if declaration is None else declaration
    rows = rows.drop(columns=PROVENANCE, errors="ignore")
    rules = read_claim_rules(path, rows, said)
    with quietly():
        evidence = Evidence(effect_sizes(rows), bias)
        lines = [_Line.of(claim, rules.get(str(claim["claim_id"])), evidence) for claim in _records(said)]
    return _claims(lines, Path(path).name)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): cell for key, cell in row.items()} for row in table.to_dict("records")]


@dataclass(frozen=True, slots=True)
class _Line:
    """One claim: its row, the rows of its groups, and the fits behind them."""

    row: dict[str, Any]
    groups: list[dict[str, Any]]
    fits: dict[tuple[str, str], PooledFit]

    @classmethod
    def of(cls, claim: Mapping[str, Any], rule: ClaimRule | None, evidence: Evidence) -> _Line:
        """Return the line of one claim."""
        start = {name: claim[name] for name in ("claim_id", "publisher", "claim")}
        if rule is None:
            end = _row("no evidence", {}, "", ("", NOT_DECLARED)) | {"beyond": "", "why": ""}
            return cls(start | end | {"supported_when": claim["supported_when"]}, [], {})
        found = evidence.of(claim, rule)
        fits = {name: group.fit for name, group in found.items()}
        checks = checks_of(rule, fits)
        verdict = verdict_of(checks)
        said = certainty(claim, rule, found, verdict, evidence)
        row = _row(verdict, fits, rule.focus, ("; ".join(map(str, checks)), said))
        end = {"beyond": rule.beyond, "why": rule.why, "supported_when": claim["supported_when"]}
        key = str(claim["claim_id"])
        groups = [{"claim_id": key, "group": name} | group.numbers() for name, group in found.items()]
        return cls(start | row | end, groups, {(key, name): fit for name, fit in fits.items() if fit is not None})


def _row(verdict: str, fits: Mapping[str, PooledFit | None], focus: str, said: tuple[str, str]) -> dict[str, Any]:
    """Return verdict, numbers, checks and certainty."""
    found = {name: fit for name, fit in fits.items() if fit is not None}
    numbers: dict[str, Any] = dict.fromkeys(NUMBERS, math.nan)
    numbers["k"] = sum(fit.k for fit in found.values())
    numbers["n_participants"] = sum(fit.n_participants or 0 for fit in found.values()) or None
    about = fits.get(focus) if focus else next(iter(found.values()), None) if len(fits) == 1 else None
    if about is not None:
        numbers |= {name: getattr(about, name) for name in NUMBERS}
    elif focus:
        numbers |= {"k": 0, "n_participants": None}
    return {"verdict": verdict} | numbers | {"checks": said[0], "certainty": said[1]}


def _claims(lines: list[_Line], declaration: str) -> Claims:
    import pandas as pd

    from ipt_evidence.evidence.claims_certainty import GROUP_COLUMNS

    table = pd.DataFrame([line.row for line in lines]).astype({"k": "Int64", "n_participants": "Int64"})
    groups = pd.DataFrame([group for line in lines for group in line.groups], columns=list(GROUP_COLUMNS))
    groups = groups.astype({"k": "Int64", "n_participants": "Int64"})
    fits = {key: fit for line in lines for key, fit in line.fits.items()}
    return Claims(table, groups, MappingProxyType(fits), declaration)
