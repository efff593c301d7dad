"""Names of columns: ours, what can be typed beside ours and converted, and what other programs call them."""

from __future__ import annotations

ARM_STATISTICS = (
    *("mean", "sd", "n", "se", "mean_ci_low", "mean_ci_high"),
    *("median", "q1", "q3", "iqr", "min", "max"),
    *("events", "total", "event_percent"),
    *("baseline_mean", "baseline_sd", "baseline_n", "baseline_se"),
    *("change_mean", "change_sd", "change_se", "change_ci_low", "change_ci_high"),
    *("n_randomised", "median_survival"),
)
COMPOSITES: dict[str, tuple[str, ...]] = {
    "mean_sd": ("mean", "sd"),
    "mean_se": ("mean", "se"),
    "mean_ci": ("mean", "mean_ci_low", "mean_ci_high"),
    "median_iqr": ("median", "q1", "q3"),
    "median_range": ("median", "min", "max"),
}
ARM_LABELS = ("arm", "role")
EFFECT_NUMBERS = ("effect", "effect_se", "ci_low", "ci_high")
ROW_NUMBERS = (
    *("year", "time_weeks", "lower_is_better", *EFFECT_NUMBERS, "favours_ipt_sign", "n_sessions"),
    *("rob_sequence_generation", "rob_allocation_concealment", "rob_intention_to_treat", "rob_low_risk_count"),
    *("mean_age", "proportion_women", "percent_women", "n_total"),
)
ROW_TEXTS = (
    *("comparison_id", "trial_id", "study", "author", "condition", "diagnosis", "diagnosis_group", "population"),
    *("population_group", "phase", "contrast", "arm_1", "arm_2", "comparator_class", "comparator", "outcome"),
    *("instrument", "instrument_family", "rating", "time", "analysis_set", "set_reason", "statistics"),
    *("effect_measure", "confidence", "rob_assessor_blinding", "source_citation", "source_doi", "data_from", "quote"),
    *("notes", "country", "format", "recruitment", "source", "allocation"),
    *("why_none", "converted", "conversion_method", "arm_rows", "read_notes"),
)
TWO_ARM_NUMBERS = tuple(f"{name}_{arm}" for arm in (1, 2) for name in ARM_STATISTICS)
TWO_ARM_COMPOSITES = tuple(f"{name}_{arm}" for arm in (1, 2) for name in COMPOSITES)
COMPARISON_COLUMNS = (*ROW_TEXTS, *ROW_NUMBERS, *TWO_ARM_NUMBERS, *TWO_ARM_COMPOSITES)
ARM_COLUMNS = (
    *(name for name in ROW_TEXTS if name not in {"arm_1", "arm_2", "effect_measure"}),
    *(name for name in ROW_NUMBERS if name not in {*EFFECT_NUMBERS, "favours_ipt_sign"}),
    *ARM_LABELS,
    *ARM_STATISTICS,
    *COMPOSITES,
)
KNOWN_COLUMNS = tuple(dict.fromkeys((*COMPARISON_COLUMNS, *ARM_COLUMNS)))
NUMBER_COLUMNS = frozenset((*ROW_NUMBERS, *TWO_ARM_NUMBERS, *ARM_STATISTICS))
REQUIRED = ("condition", "contrast")

METAPSY = {
    **{f"{ours}_{arm}": f"{theirs}_arm{arm}" for arm in (1, 2) for ours, theirs in (
        ("mean", "mean"), ("sd", "sd"), ("n", "n"), ("change_mean", "mean_change"), ("change_sd", "sd_change"),
        ("events", "event"), ("total", "totaln"), ("baseline_mean", "baseline_m"), ("baseline_sd", "baseline_sd"),
        ("baseline_n", "baseline_n"))},
    "arm_1": "condition_arm1", "arm_2": "condition_arm2", "percent_women": "percent_women", "effect": "precalc_g",
    "effect_se": "precalc_g_se",
}  # fmt: skip
METAFOR = {
    "mean_1": "m1i", "sd_1": "sd1i", "n_1": "n1i", "mean_2": "m2i", "sd_2": "sd2i", "n_2": "n2i",
    "events_1": "ai", "events_2": "ci", "effect": "yi", "effect_se": "sei", "ci_low": "ci.lb", "ci_high": "ci.ub",
    "study": "slab",
}  # fmt: skip
SYNONYMS: dict[str, tuple[str, ...]] = {
    "study": ("study id", "study name", "study label", "trial", "trial name", "reference", "citation", "author year"),
    "trial_id": ("trial key", "trial no", "trial number"),
    "author": ("authors", "first author"),
    "year": ("publication year", "year of publication", "pub year", "date of publication"),
    "condition": ("disorder", "mental disorder"),
    "diagnosis": ("diagnostic criteria", "dsm diagnosis"),
    "population": ("sample", "participants", "target group"),
    "outcome": ("outcome name", "outcome type", "outcome measure type"),
    "instrument": ("scale", "measure", "outcome measure", "questionnaire", "test", "rating scale", "tool"),
    "time": ("time point", "timepoint", "assessment", "assessment point", "wave"),
    "time_weeks": ("weeks", "week", "time in weeks", "follow up weeks", "weeks after baseline", "duration weeks"),
    "rating": ("rater", "rated by"),
    "lower_is_better": ("direction", "scale direction", "lower better", "better direction"),
    "arm": ("arm name", "arm label", "group", "group name", "treatment group", "intervention name", "treatment arm"),
    "role": ("arm role", "arm type", "group type", "treatment or control", "exp or control", "experimental or control"),
    "comparator": ("control type", "type of control", "comparison", "control condition"),
    "n_total": ("total n", "n randomised", "n randomized", "sample size", "overall n", "n overall", "total sample"),
    "allocation": ("allocation ratio", "randomisation ratio", "randomization ratio"),
    "percent_women": ("women percent", "percent female", "female percent", "percentage women", "sex percent female"),
    "proportion_women": ("proportion female", "prop women", "prop female"),
    "mean_age": ("age", "age mean", "average age"),
    "n_sessions": ("sessions", "number of sessions", "no of sessions", "num sessions"),
    "format": ("treatment format", "delivery"),
    "country": ("nation", "country of study"),
    "notes": ("note", "comment", "comments", "remark", "remarks"),
    "source_citation": ("full citation", "full reference"),
    "source_doi": ("doi",),
    "effect": ("effect size", "es", "smd", "hedges g", "hedges s g", "cohen s d", "cohens d", "g", "d"),
    "effect_se": ("se of effect", "std err", "standard error of effect", "se effect", "effect size se", "se es"),
    "ci_low": ("ci lower", "lower limit", "ci start", "lower ci", "95 ci low", "95 ci lower", "ci lb"),
    "ci_high": ("ci upper", "upper limit", "ci end", "upper ci", "95 ci high", "95 ci upper", "ci ub"),
    "effect_measure": ("effect measure", "es type", "effect size type", "measure type"),
}  # fmt: skip
