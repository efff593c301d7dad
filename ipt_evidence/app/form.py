"""The choices of the page as an ordinary HTML form, with the values that the data have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ipt_evidence.app import words as w
from ipt_evidence.app.data import TrialData
from ipt_evidence.app.html import esc, options_html
from ipt_evidence.app.html import words as plain
from ipt_evidence.app.view import CONDITIONS, CONTRASTS, View

MAX_CHOICES = 60


def form_html(view: View, data: TrialData) -> str:
    """Return what stands inside the form of choices."""
    return (
        _source(view, data)
        + _section("Question", _question(view, data), opened=True)
        + _section("Trials", _trials(view, data), opened=_changed(view, TRIALS))
        + _section("Outcomes", _outcomes(view, data), opened=_changed(view, OUTCOMES))
        + _section("Statistics", _statistics(view), opened=_changed(view, STATISTICS))
        + '<div class="form-end"><button type="button" id="reset" class="quiet">Reset all choices</button>'
        '<noscript><button type="submit">Show</button></noscript></div>'
    )


TRIALS = ("population", "comparator", "format", "rob", "year_from", "year_to")
OUTCOMES = ("instruments", "family", "rating")
STATISTICS = ("preset", "tau2", "ci", "prediction", "dependence", "rho", "level", "convention", "outliers")


IDENTIFIERS = {"tau2": "tau2_method", "ci": "ci_method"}
"""Where the page has the name as the identifier of a result."""


def _changed(view: View, names: Iterable[str]) -> bool:
    start = View()
    return any(getattr(view, name) != getattr(start, name) for name in names)


def _section(title: str, body: str, *, opened: bool) -> str:
    name = title.lower()
    return (
        f'<details class="choices" id="section-{name}"{" open" if opened else ""}>'
        f'<summary id="summary-{name}">{title}</summary><div class="choices-body">{body}</div></details>'
    )


def _select(name: str, label: str, choices: Mapping[str, str], chosen: str, hint: str = "") -> str:
    """Return a labelled select box; a value that the data do not have stays visible."""
    listed = dict(choices)
    if chosen not in listed:
        listed[chosen] = f"{chosen} (not in these data)"
    key = IDENTIFIERS.get(name, name)
    about = f' aria-describedby="{name}-hint"' if hint else ""
    said = f'<span class="hint" id="{name}-hint">{esc(hint)}</span>' if hint else ""
    return (
        f'<div class="field"><label for="{key}">{esc(label)}</label>'
        f'<select id="{key}" name="{name}"{about}>{options_html(listed, chosen)}</select>{said}</div>'
    )


def _number(name: str, label: str, value: object, low: float, high: float, step: str, hint: str = "") -> str:
    shown = "" if value is None else esc(value)
    return (
        f'<div class="field"><label for="{name}">{esc(label)}</label><input type="number" id="{name}" name="{name}" '
        f'value="{shown}" min="{low:g}" max="{high:g}" step="{step}" inputmode="decimal" '
        f'placeholder="{esc(hint)}"></div>'
    )


def _boxes(name: str, label: str, values: Iterable[str], chosen: tuple[str, ...], counts: Mapping[str, int]) -> str:
    """Return a group of checkboxes; none ticked keeps every value."""
    listed = list(dict.fromkeys((*values, *chosen)))[:MAX_CHOICES]
    if not listed:
        return ""
    boxes = "".join(
        f'<label class="check"><input type="checkbox" name="{name}" value="{esc(value)}" id="{name}-{i}"'
        f"{' checked' if value in chosen else ''}><span>{esc(_name(value))}</span>"
        f'<span class="count" title="trials with results">{counts.get(value, 0)}</span></label>'
        for i, value in enumerate(listed)
    )
    return f'<fieldset><legend>{esc(label)} <span class="hint">none ticked: all</span></legend>{boxes}</fieldset>'


def _name(value: str) -> str:
    text = plain(value)
    return text[:1].upper() + text[1:]


QUESTION = ("condition", "contrast", "phase")


def asks_the_same(one: View, other: View) -> bool:
    """Return whether two views ask the same question of the same data, so that the numbers in the form stay."""
    return all(getattr(one, name) == getattr(other, name) for name in ("data", "convention", *QUESTION))


def trial_counts(view: View, data: TrialData, column: str) -> dict[str, int]:
    """Return the number of trials with a usable effect by value of a column, the largest first.

    Those of the question of the view; for a column of the question itself, given the other two choices.
    """
    if column not in data.studies.columns:
        return {}
    effects = data.effects(view.convention)
    counted = effects["effect"].notna().to_numpy(dtype=bool)
    if data.shipped:
        counted = counted & (effects["analysis_set"].to_numpy(dtype=object) == "primary")
    for name in QUESTION:
        value = getattr(view, name)
        if name != column and value != "all" and name in effects.columns:
            counted = counted & (effects[name].to_numpy(dtype=object) == value)
    there = dict.fromkeys(str(value) for value in data.values(column))
    found: dict[str, set[str]] = {}
    pairs = zip(
        effects[column].to_numpy(dtype=object)[counted],
        effects["trial_id"].to_numpy(dtype=object)[counted],
        strict=True,
    )
    for value, trial in pairs:
        found.setdefault(str(value), set()).add(str(trial))
    counts = {value: len(found.get(value, ())) for value in there if value.strip()}
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))


def _there(
    view: View, column: str, data: TrialData, order: Iterable[str], labels: Mapping[str, str], *, all_too: bool
) -> dict[str, str]:
    """Return the choices that the data have, with their number of trials."""
    counts = trial_counts(view, data, column)
    found = {value: f"{labels[value]} ({counts[value]})" for value in order if value in counts}
    return found | ({"all": labels["all"]} if all_too else {})


def _source(view: View, data: TrialData) -> str:
    hidden = f'<input type="hidden" name="data" value="{esc(view.data)}">'
    if data.shipped:
        return hidden
    return (
        f'{hidden}<p class="source"><strong>Your file:</strong> {esc(data.name)} '
        '<button type="button" id="upload-remove" class="quiet">Remove it</button></p>'
    )


def _question(view: View, data: TrialData) -> str:
    conditions = _there(view, "condition", data, CONDITIONS, w.CONDITION, all_too=True)
    contrasts = _there(view, "contrast", data, CONTRASTS, w.CONTRAST, all_too=False)
    phases = (
        _there(view, "phase", data, w.PHASE, w.PHASE, all_too=True)
        if "phase" in data.studies.columns
        else {"all": "All"}
    )
    return (
        _select("condition", "Condition", conditions, view.condition)
        + _select(
            "contrast",
            "Comparison",
            contrasts,
            view.contrast,
            "In brackets: trials with results, given the other choices here.",
        )
        + _select("phase", "Phase of treatment", phases, view.phase)
    )


def _trials(view: View, data: TrialData) -> str:
    boxes = (
        ("population", "population_group", "Population", view.population),
        ("comparator", "comparator", "Compared with", view.comparator),
        ("format", "format", "Format", view.format),
    )
    made = ""
    for name, column, label, chosen in boxes:
        counts = {value: n for value, n in trial_counts(view, data, column).items() if n or value in chosen}
        made += _boxes(name, label, counts, chosen, counts)
    years = (
        '<div class="pair">'
        + _number("year_from", "From year", view.year_from, 1950, 2100, "1", "first")
        + _number("year_to", "To year", view.year_to, 1950, 2100, "1", "last")
        + "</div>"
    )
    return made + _select("rob", "Risk of bias", w.ROB, str(view.rob)) + years


def _outcomes(view: View, data: TrialData) -> str:
    families = {"": "Any instrument"} | {
        value: f"{value} ({n})"
        for value, n in list(trial_counts(view, data, "instrument_family").items())[:MAX_CHOICES]
        if n
    }
    return (
        _select("instruments", "Effects of a trial", w.INSTRUMENTS, view.instruments)
        + _select("family", "Instrument", families, view.family)
        + _select("rating", "Rating", w.RATING, view.rating)
    )


def _statistics(view: View) -> str:
    level = f"{view.level:g}"
    return (
        _select("preset", "Preset", w.PRESET, view.preset, "The defaults of a handbook or program.")
        + _select("tau2", "Estimator of tau²", w.TAU2, view.tau2)
        + _select("ci", "Confidence interval", w.CI, view.ci)
        + _select("prediction", "Prediction interval, df", w.PREDICTION, view.prediction)
        + _select("dependence", "Several effects of a trial", w.DEPENDENCE, view.dependence)
        + '<div class="pair">'
        + _number("rho", "Correlation (rho)", view.rho, 0, 1, "any", "0.6")
        + _select("level", "Level", w.LEVEL | {level: f"{100 * view.level:g}%"}, level)
        + "</div>"
        + _select("convention", "Effect sizes", w.CONVENTION, view.convention)
        + _select("outliers", "Outliers", w.OUTLIERS, view.outliers)
    )
