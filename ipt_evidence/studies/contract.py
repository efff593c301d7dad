"""The row contract: which columns a table of trial results has, what may stand in them, how they hang together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Kind = Literal["text", "number", "whole"]

RATIO_MEASURES = ("OR", "RR", "HR", "IRR", "ROM", "PETO")
STANDARDISED_MEASURES = ("g", "d")
MEANS = ("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2")
CHANGES = ("change_mean_1", "change_sd_1", "n_1", "change_mean_2", "change_sd_2", "n_2")
COUNTS = ("events_1", "total_1", "events_2", "total_2")
PRINTED = ("effect", "effect_measure", "favours_ipt_sign")
ROUTES: dict[str, tuple[str, ...]] = {
    "arm_means": (*MEANS, "lower_is_better"),
    "change_scores": (*CHANGES, "lower_is_better"),
    "events": (*COUNTS, "lower_is_better"),
    "effect_with_uncertainty": PRINTED,
    "effect_with_n": (*PRINTED, "n_1", "n_2"),
    "none": (),
}


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What may stand in one column.

    Attributes
    ----------
    name : str
        Column name.
    kind : {"text", "number", "whole"}
        Type of the cells; a whole number may be written 34 or 34.0.
    required : bool
        Whether the column must be there and filled in every row; the others may be absent or empty.
    unique : bool
        Whether no value may occur twice.
    choices : tuple of str or of int
        The only values allowed; empty when there is no list.
    minimum, maximum : float or None
        Limits, themselves allowed.
    above : float or None
        Limit that is itself not allowed.
    advice : str
        What to do when the value breaks the rule.
    """

    name: str
    kind: Kind = "text"
    required: bool = False
    unique: bool = False
    choices: tuple[str, ...] | tuple[int, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    advice: str = ""

    def expectation(self) -> str:
        """Return in words what a filled cell must be."""
        if self.choices:
            return f"expected one of {', '.join(str(choice) for choice in self.choices)}"
        words = {"text": "text", "number": "a number", "whole": "a whole number"}[self.kind]
        if self.above is not None:
            words += f" above {self.above:g}"
        elif self.minimum is not None and self.maximum is not None:
            words += f" from {self.minimum:g} to {self.maximum:g}"
        elif self.minimum is not None:
            words += f" of at least {self.minimum:g}"
        return f"expected {words}"


@dataclass(frozen=True, slots=True)
class RowRule:
    """How several cells of one row hang together.

    Attributes
    ----------
    name : str
        Key of the rule.
    column : str
        Column the message points at.
    needs : tuple of str
        Columns the rule reads; it is left out when one of them is absent.
    broken : callable
        Table to one truth value per row.
    message : str
        What is wrong, expected and to be done; names in braces are filled from the row.
    """

    name: str
    column: str
    needs: tuple[str, ...]
    broken: Callable[[pd.DataFrame], pd.Series[bool]]
    message: str


def _arm_columns() -> tuple[ColumnRule, ...]:
    """Return the rules of the raw statistics of both arms."""
    rules: list[ColumnRule] = []
    spread = "an SD is never negative or zero; leave it empty when it is not reported"
    for arm in (1, 2):
        rules += [
            ColumnRule(f"mean_{arm}", "number"),
            ColumnRule(f"sd_{arm}", "number", above=0, advice=spread),
            ColumnRule(f"n_{arm}", "whole", minimum=1),
            ColumnRule(f"change_mean_{arm}", "number"),
            ColumnRule(f"change_sd_{arm}", "number", above=0, advice=spread),
            ColumnRule(f"events_{arm}", "whole", minimum=0),
            ColumnRule(f"total_{arm}", "whole", minimum=1),
            ColumnRule(f"baseline_mean_{arm}", "number"),
            ColumnRule(f"baseline_sd_{arm}", "number", above=0, advice=spread),
            ColumnRule(f"baseline_n_{arm}", "number", minimum=1),
            ColumnRule(f"n_randomised_{arm}", "number", minimum=0),
        ]
    return tuple(rules)


LOW_OR_HIGH = (0, 1)
# Of data sets on other psychotherapies: the shipped data hold IPT only.
OTHER_CONTRASTS = ("psychotherapy_vs_control", "psychotherapy_vs_psychotherapy", "other")
# Of reviews by RevMan and metafor: no row of the shipped data prints them.
OTHER_MEASURES = ("RD", "IRR", "ROM", "PETO")
FREE_TEXT = (
    *("study", "author", "diagnosis", "diagnosis_group", "population", "arm_1", "arm_2", "outcome", "instrument"),
    *("instrument_family", "set_reason", "source_citation", "source_doi", "data_from", "quote", "notes"),
    *("country", "format", "recruitment", "source"),
    *("why_none", "converted", "conversion_method", "arm_rows", "read_notes"),
)
COLUMNS: tuple[ColumnRule, ...] = (
    ColumnRule("comparison_id", required=True, unique=True, advice="give every row its own key"),
    ColumnRule("trial_id", required=True, advice="rows of one trial share a key, for example weissman1979"),
    ColumnRule("year", "whole", minimum=1950, maximum=2100),
    ColumnRule("condition", required=True, choices=("depression", "eating_disorder", "anxiety", "other")),
    ColumnRule(
        "population_group",
        choices=("adults", "adolescents", "children", "older_adults", "perinatal", "medical", "other"),
    ),
    ColumnRule("phase", choices=("acute", "maintenance", "prevention")),
    ColumnRule(
        "contrast",
        required=True,
        choices=(
            "ipt_vs_control",
            "ipt_vs_psychotherapy",
            "ipt_vs_pharmacotherapy",
            "combined_vs_pharmacotherapy",
            "ipt_vs_combined",
            *OTHER_CONTRASTS,
        ),
    ),
    ColumnRule("comparator_class", choices=("control", "psychotherapy", "pharmacotherapy", "combined")),
    ColumnRule(
        "comparator",
        choices=(
            "waitlist",
            "care_as_usual",
            "placebo",
            "no_intervention",
            "other_control",
            "cbt",
            "other_psychotherapy",
            "pharmacotherapy",
            "combined",
        ),
    ),
    ColumnRule("rating", choices=("self", "clinician")),
    ColumnRule("time", choices=("post", "followup")),
    ColumnRule("time_weeks", "number", minimum=0),
    ColumnRule("lower_is_better", "whole", choices=(0, 1), advice="1: a lower score or an event is bad news"),
    ColumnRule(
        "analysis_set",
        choices=("primary", "sensitivity", "secondary_outcome", "follow_up", "not_estimable", "out_of_scope"),
    ),
    ColumnRule("statistics", choices=tuple(ROUTES)),
    *_arm_columns(),
    ColumnRule("effect_measure", choices=(*STANDARDISED_MEASURES, "MD", "OR", "RR", "HR", *OTHER_MEASURES)),
    ColumnRule("effect", "number"),
    ColumnRule("effect_se", "number", above=0, advice="leave it empty when it is not reported"),
    ColumnRule("ci_low", "number"),
    ColumnRule("ci_high", "number"),
    ColumnRule("favours_ipt_sign", "whole", choices=(-1, 1), advice="1: a positive effect favours arm 1"),
    ColumnRule("n_sessions", "number", above=0),
    ColumnRule("confidence", choices=("high", "medium", "low")),
    ColumnRule("rob_sequence_generation", "whole", choices=LOW_OR_HIGH),
    ColumnRule("rob_allocation_concealment", "whole", choices=LOW_OR_HIGH),
    ColumnRule("rob_assessor_blinding", choices=("0", "1", "sr")),
    ColumnRule("rob_intention_to_treat", "whole", choices=LOW_OR_HIGH),
    ColumnRule("rob_low_risk_count", "whole", minimum=0, maximum=4),
    ColumnRule("mean_age", "number", minimum=0, maximum=120),
    ColumnRule("proportion_women", "number", minimum=0, maximum=1, advice="divide a percentage by 100"),
    *(ColumnRule(name) for name in FREE_TEXT),
)
COLUMN_OF = {rule.name: rule for rule in COLUMNS}


def _is_ratio(table: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows print a ratio."""
    return table["effect_measure"].isin(RATIO_MEASURES)


def _not_positive(column: str) -> Callable[[pd.DataFrame], pd.Series[bool]]:
    """Return the check that a ratio stands on its natural scale."""
    return lambda table: _is_ratio(table) & (table[column] <= 0)


def _events_above(arm: int) -> Callable[[pd.DataFrame], pd.Series[bool]]:
    """Return the check that an arm has no more events than participants."""
    return lambda table: table[f"events_{arm}"] > table[f"total_{arm}"]


ROW_RULES: tuple[RowRule, ...] = (
    *(
        RowRule(
            f"events_{arm} within total",
            f"events_{arm}",
            (f"events_{arm}", f"total_{arm}"),
            _events_above(arm),
            f"is above total_{arm} = {{total_{arm}}}; expected no more events than participants",
        )
        for arm in (1, 2)
    ),
    *(
        RowRule(
            f"{column} of a ratio is positive",
            column,
            ("effect_measure", column),
            _not_positive(column),
            "is not above 0, but effect_measure is {effect_measure}; expected a ratio on its natural scale, "
            "not its logarithm",
        )
        for column in ("effect", "ci_low", "ci_high")
    ),
    RowRule(
        "interval has two limits",
        "ci_low",
        ("ci_low", "ci_high"),
        lambda table: table["ci_low"].isna() != table["ci_high"].isna(),
        "the interval has one limit only (ci_low = {ci_low}, ci_high = {ci_high}); give both or none",
    ),
    RowRule(
        "interval is ordered",
        "ci_low",
        ("ci_low", "ci_high"),
        lambda table: table["ci_low"] > table["ci_high"],
        "is above ci_high = {ci_high}: the interval is reversed; expected ci_low <= ci_high",
    ),
    RowRule(
        "effect within its interval",
        "effect",
        ("effect", "ci_low", "ci_high"),
        lambda table: (
            (table["ci_low"] <= table["ci_high"])
            & ((table["effect"] < table["ci_low"]) | (table["effect"] > table["ci_high"]))
        ),
        "lies outside its interval {ci_low} to {ci_high}; check sign and scale of all three",
    ),
    RowRule(
        "effect_with_n is standardised",
        "effect_measure",
        ("statistics", "effect_measure"),
        lambda table: (
            (table["statistics"] == "effect_with_n") & ~table["effect_measure"].isin((*STANDARDISED_MEASURES, ""))
        ),
        "does not fit statistics = effect_with_n; expected g or d, other measures need effect_se or an interval",
    ),
    RowRule(
        "primary rows are estimable",
        "analysis_set",
        ("analysis_set", "statistics"),
        lambda table: (table["analysis_set"] == "primary") & (table["statistics"] == "none"),
        "the row offers no statistics (statistics = none); expected not_estimable, or fill in its numbers",
    ),
)
ROW_RULE_OF = {rule.name: rule for rule in ROW_RULES}
