"""The trials behind a claim, and how far a verdict from them can be relied on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.diagnostics.cautions import FEW_TRIALS
from ipt_evidence.errors import EvidenceError, NotEstimableError
from ipt_evidence.evidence.claims_declared import ClaimRule
from ipt_evidence.evidence.claims_rules import checks_of, verdict_of
from ipt_evidence.evidence.reproduce import studies_of
from ipt_evidence.evidence.reproduce_select import Select, select_mask
from ipt_evidence.pooling.fit import pool

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

OF_CLAIM = ("condition", "phase", "contrast")
ANY_CONDITION = "all"
FURTHER = ("sensitivity",)
EVERY_SET = ("primary", "sensitivity", "secondary_outcome", "follow_up", "not_estimable")
NUMBERS = ("n_participants", "estimate", "ci_low", "ci_high", "pi_low", "pi_high", "i2", "p_value")
GROUP_COLUMNS = ("claim_id", "group", "k", *NUMBERS, "trials", "without_numbers")
NAMED = 6


@dataclass(frozen=True, slots=True)
class Group:
    """The trials of one group of a claim.

    Attributes
    ----------
    fit : PooledFit or None
        ``None`` without usable numbers.
    rows : pandas.DataFrame
        Rows behind the fit.
    without_numbers : tuple of str
        Studies of the group that are in the data without an effect of the main outcome after treatment.
    """

    fit: PooledFit | None
    rows: pd.DataFrame
    without_numbers: tuple[str, ...]

    def numbers(self) -> dict[str, Any]:
        """Return the numbers of the group as columns."""
        found: dict[str, Any] = dict.fromkeys(NUMBERS, math.nan) | {"n_participants": None, "k": 0, "trials": ""}
        if self.fit is not None:
            found |= {name: getattr(self.fit, name) for name in ("k", *NUMBERS)}
            found["trials"] = "; ".join(studies_of(self.fit))
        return found | {"without_numbers": "; ".join(self.without_numbers)}


@dataclass(slots=True)
class Evidence:
    """All effects, and what was computed from them once.

    Attributes
    ----------
    effects : pandas.DataFrame
        Every row of the data, with its effect where it has one.
    bias : bool
        Whether to look for selective publication.
    """

    effects: pd.DataFrame
    bias: bool
    _bias: dict[frozenset[str], str] = field(default_factory=dict)

    def of(self, claim: Mapping[str, Any], rule: ClaimRule, *, further: bool = False) -> dict[str, Group]:
        """Return the trials of each group of a claim; with `further` also trials kept for sensitivity analyses."""
        common: dict[str, tuple[str, ...]] = {name: (str(claim[name]),) for name in OF_CLAIM}
        if claim["condition"] == ANY_CONDITION:
            del common["condition"]
        common |= rule.select
        empty = self.effects.iloc[:0]
        return {
            name: Group(None, empty, ()) if select is None else self._group({**common, **select}, further)
            for name, select in rule.groups.items()
        }

    def _group(self, select: Select, further: bool) -> Group:
        table, trials = self.effects, self.effects["trial_id"].to_numpy(dtype=object)
        known = table["effect"].notna().to_numpy()
        use = select_mask(table, select) & known
        more = select_mask(table, {**select, "analysis_set": FURTHER}) & known & ~np.isin(trials, trials[use])
        every = select_mask(table, {**select, "analysis_set": EVERY_SET})
        missing = every & ~np.isin(trials, trials[use | more])
        rows = table[use | more if further else use]
        names = tuple(sorted(set(table["study"][missing].astype(str))))
        try:
            fit = pool(rows, dependence="aggregate")
        except NotEstimableError:
            return Group(None, rows, names)
        return Group(fit, rows, names)

    def bias_said(self, fit: PooledFit) -> str:
        """Return what the adjustments for selective publication come to; empty with fewer than ten trials."""
        if not self.bias or fit.k < FEW_TRIALS:
            return ""
        key = frozenset(studies_of(fit))
        if key not in self._bias:
            from ipt_evidence.diagnostics.bias_table import bias_table

            self._bias[key] = bias_table(fit).interpretation
        return self._bias[key]

    def slope_said(self, groups: Mapping[str, Group], moderator: str) -> str:
        """Return the slope of a moderator over the trials of all groups of a claim."""
        import pandas as pd

        from ipt_evidence.pooling.regression import meta_regression

        rows = pd.concat([group.rows for group in groups.values()])
        try:
            line = meta_regression(rows, f"~ {moderator}").tidy().iloc[-1]
        except EvidenceError as error:
            return f"The slope of {moderator} cannot be estimated: {error}."
        return (
            f"Per unit of {moderator} the effect changes by {line['estimate']:+.3f} ({line['ci_low']:.3f} to "
            f"{line['ci_high']:.3f}, p = {line['p_value']:.2f})."
        )


def certainty(
    claim: Mapping[str, Any], rule: ClaimRule, groups: Mapping[str, Group], verdict: str, evidence: Evidence
) -> str:
    """Return how far a verdict can be relied on, in sentences."""
    said = [_size(name, group) for name, group in groups.items()]
    for name, group in groups.items():
        if group.fit is not None:
            start = f"{name}: " if name else ""
            said += [f"{start}{text}" for text in (_prediction(group.fit), evidence.bias_said(group.fit)) if text]
    if rule.moderator:
        said.append(evidence.slope_said(groups, rule.moderator))
    said += [_by_wald(rule, groups, verdict), _further(claim, rule, groups, verdict, evidence)]
    return " ".join(filter(None, said))


def _size(name: str, group: Group) -> str:
    """Return the number of trials and people, and which trials could not be used."""
    start = f"{name}: " if name else ""
    text = f"{start}no trial with numbers to pool in this data set"
    if group.fit is not None:
        fit = group.fit
        people = "" if fit.n_participants is None else f", {fit.n_participants} participants"
        known = next((f" ({note[0].lower()}{note[1:-1]})" for note in fit.notes if note.startswith("Participants")), "")
        text = f"{start}{_trials(fit.k)}{people}{known}, {fit.estimate:.2f} ({fit.ci_low:.2f} to {fit.ci_high:.2f})"
    missing = group.without_numbers
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        text += f"; {_trials(len(missing))} without numbers to pool ({', '.join(missing[:NAMED])}{more})"
    return f"{text}."


def _prediction(fit: PooledFit) -> str:
    """Return what the prediction interval says about a new trial."""
    if fit.k == 1:
        return "One trial decides."
    if math.isnan(fit.pi_low):
        return "Too few trials for a prediction interval."
    where = f"prediction interval {fit.pi_low:.2f} to {fit.pi_high:.2f}"
    one_side = fit.pi_low > 0 or fit.pi_high < 0
    if one_side and (fit.k < FEW_TRIALS or fit.tau2 == 0):
        text = (
            f"Whether a new trial would be on the same side of zero is not known: the {where} rests on {_trials(fit.k)}"
        )
        same = " that show no heterogeneity (tau2 = 0), so it says no more than the interval of the mean"
        return f"{text}{same if fit.tau2 == 0 else ', which tell little of how much trials differ'}."
    if one_side:
        return f"A new trial is expected on the same side of zero ({where})."
    return f"A new trial may find an effect on either side of zero ({where})."


def _by_wald(rule: ClaimRule, groups: Mapping[str, Group], verdict: str) -> str:
    """Return whether normal intervals, which are too narrow for few trials, would change the verdict."""
    wald = {
        name: None if g.fit is None else replace(g.fit, ci_low=g.fit.wald_ci_low, ci_high=g.fit.wald_ci_high)
        for name, g in groups.items()
    }
    other = verdict_of(checks_of(rule, wald))
    if other == verdict:
        return ""
    numbers = "; ".join(
        f"{f'{name} ' if name else ''}{fit.ci_low:.2f} to {fit.ci_high:.2f}" for name, fit in wald.items() if fit
    )
    return f"With normal (Wald) intervals, which few trials make too narrow, it would be '{other}' ({numbers})."


def _further(
    claim: Mapping[str, Any], rule: ClaimRule, groups: Mapping[str, Group], verdict: str, evidence: Evidence
) -> str:
    """Return whether trials that are kept for sensitivity analyses would change the verdict."""
    wider = evidence.of(claim, rule, further=True)
    new = sorted({str(s) for name, g in wider.items() for s in set(g.rows["study"]) - set(groups[name].rows["study"])})
    if not new:
        return ""
    other = verdict_of(checks_of(rule, {name: group.fit for name, group in wider.items()}))
    who = f"With {_trials(len(new))} kept for sensitivity analyses ({', '.join(new[:NAMED])})"
    if other == verdict:
        return f"{who} the verdict stays."
    numbers = "; ".join(
        f"{name or 'then'} {g.fit.estimate:.2f} ({g.fit.ci_low:.2f} to {g.fit.ci_high:.2f}, k = {g.fit.k})"
        for name, g in wider.items()
        if g.fit is not None
    )
    return f"{who} the verdict would be '{other}' ({numbers})."


def _trials(n: int) -> str:
    return f"{n} trial{'' if n == 1 else 's'}"
