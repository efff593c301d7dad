"""From a view to the Python code that gives the same number."""

from __future__ import annotations

from ipt_evidence.app.analysis import one_effect_options, pool_options
from ipt_evidence.app.data import TrialData
from ipt_evidence.app.view import View

WIDTH = 88


def python_code(view: View, data: TrialData) -> str:
    """Return a script that pools the trials of a view, in the words of the package.

    Examples
    --------
    >>> from ipt_evidence.app.data import shipped_data
    >>> print(python_code(View(condition="anxiety", tau2="DL"), shipped_data()))
    import ipt_evidence as ipt
    <BLANKLINE>
    studies = ipt.load_dataset("ipt")
    effects = ipt.effect_sizes(studies)
    rows = effects[
        (effects["condition"] == "anxiety")
        & (effects["contrast"] == "ipt_vs_control")
        & (effects["phase"] == "acute")
    ]
    fit = ipt.pool(rows, preset="cochrane", tau2_method="DL", dependence="aggregate", level=0.95)
    print(fit.summary())
    <BLANKLINE>
    """
    lines = ["import ipt_evidence as ipt", "", *_reading(view, data), *_rows(view, data)]
    if view.instruments != "all":
        lines.append(f'rows = ipt.one_per_trial(rows, rule="{view.instruments}")')
    if view.out:
        lines += _wrapped('rows = rows[~rows["trial_id"].isin([', [_text(trial) for trial in view.out], "])]")
    lines += _without_outliers(view)
    lines += _call("fit = ipt.pool", "rows", pool_options(view))
    lines.append("print(fit.summary())")
    if view.group and view.group in data.studies.columns:
        lines += ["", *_call("groups = ipt.pool_by", f"rows, {_text(view.group)}", pool_options(view))]
        lines.append("print(groups.tidy())")
    return "\n".join([*lines, ""])


def _text(value: str) -> str:
    """Return a string as Python code, in double quotes; safe for any content."""
    shown = repr(value)
    if shown.startswith("'") and '"' not in value:
        return f'"{shown[1:-1]}"'.replace("\\'", "'")
    return shown


def _reading(view: View, data: TrialData) -> list[str]:
    given = f", convention={_text(view.convention)}" if view.convention else ""
    source = 'ipt.load_dataset("ipt")' if data.shipped else f"ipt.read_studies({_text(data.name)})"
    return [f"studies = {source}", f"effects = ipt.effect_sizes(studies{given})"]


def _rows(view: View, data: TrialData) -> list[str]:
    """Return the lines that choose the rows."""
    columns = set(data.studies.columns)
    tests = [
        f'(effects["{name}"] == {_text(value)})'
        for name, value in (("condition", view.condition), ("contrast", view.contrast), ("phase", view.phase))
        if value != "all" and name in columns
    ]
    for column, values in (
        ("population_group", view.population),
        ("comparator", view.comparator),
        ("format", view.format),
    ):
        if values and column in columns:
            tests.append(f'effects["{column}"].isin([{", ".join(map(_text, values))}])')
    limits = (
        ("rob_low_risk_count", ">=", view.rob or None),
        ("year", ">=", view.year_from),
        ("year", "<=", view.year_to),
    )
    tests += [f'(effects["{c}"] {sign} {value})' for c, sign, value in limits if value is not None and c in columns]
    for column, value in (("instrument_family", view.family), ("rating", view.rating)):
        if value and column in columns:
            tests.append(f'(effects["{column}"] == {_text(value)})')
    if not tests:
        return ["rows = effects"]
    first, *rest = tests
    return ["rows = effects[", f"    {first}", *(f"    & {test}" for test in rest), "]"]


def _without_outliers(view: View) -> list[str]:
    if view.outliers == "none":
        return []
    base = _call("base = ipt.pool", "rows", one_effect_options(view))
    if view.outliers == "outliers":
        return [
            *base,
            "kept = ipt.outliers(base).fit.studies",
            'kept = kept.loc[kept["included"], "trial_id"]',
            'rows = rows[rows["trial_id"].isin(kept)]',
        ]
    return [
        *base,
        'trials = base.studies[base.studies["included"]]',
        'influential = ipt.influence(base)["is_influential"].to_numpy()',
        'rows = rows[~rows["trial_id"].isin(trials["trial_id"][influential])]',
    ]


def _call(start: str, first: str, options: dict[str, object]) -> list[str]:
    """Return a call on one line, or on several where it is long."""
    given = [f"{name}={_text(value) if isinstance(value, str) else repr(value)}" for name, value in options.items()]
    return _wrapped(f"{start}(", [first, *given], ")")


def _wrapped(start: str, items: list[str], end: str) -> list[str]:
    line = f"{start}{', '.join(items)}{end}"
    if len(line) <= WIDTH + 8:
        return [line]
    return [start, *(f"    {item}," for item in items), end]
