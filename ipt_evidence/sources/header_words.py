"""Read a header word by word: which statistic, which arm, which occasion."""

from __future__ import annotations

import re
from dataclasses import dataclass

ARM_1 = {
    *("ipt", "treatment", "treat", "treated", "tx", "trt", "intervention", "interv", "int", "experimental", "exp"),
    *("active", "ig", "tg", "eg", "e", "t", "i", "1", "interpersonal"),
}
ARM_2 = {
    *(
        "control",
        "controls",
        "contr",
        "ctrl",
        "ctl",
        "con",
        "comparator",
        "comparison",
        "tau",
        "cau",
        "waitlist",
        "wl",
        "wlc",
    ),
    *("placebo", "pbo", "cbt", "cg", "c", "2", "medication", "med", "usual"),
}
BASELINE = {"baseline", "base", "bl", "pre", "pretest", "pretreatment", "t0"}
CHANGE = {"change", "changes", "delta", "chg"}
LATER = {"followup", "follow", "fu", "t2", "t3", "t4"}
POST = {"post", "posttest", "posttreatment", "endpoint", "end", "final", "t1"}
FILLERS = {
    *("of", "the", "group", "arm", "score", "scores", "at", "in", "for", "value", "values", "a", "b", "and", "care"),
    *(
        "standard",
        "deviation",
        "error",
        "std",
        "dev",
        "err",
        "size",
        "sample",
        "quartile",
        "limit",
        "up",
        "level",
        "95",
    ),
    *("psychotherapy", "condition", "number", "no", "test", "treatment", "patients", "participants", "subjects"),
}
PHRASES = (
    ("standard deviation", "sd"), ("std deviation", "sd"), ("std dev", "sd"), ("st dev", "sd"), ("stddev", "sd"),
    ("stdev", "sd"), ("standard error", "se"), ("std error", "se"), ("std err", "se"), ("stderr", "se"),
    ("sample size", "n"), ("number of patients", "n"), ("number of participants", "n"), ("no of patients", "n"),
    ("lower quartile", "q1"), ("upper quartile", "q3"), ("first quartile", "q1"), ("third quartile", "q3"),
    ("interquartile range", "iqr"), ("25 th percentile", "q1"), ("75 th percentile", "q3"), ("q 1", "q1"),
    ("q 3", "q3"), ("p 25", "q1"), ("p 75", "q3"), ("group a", "arm_a"), ("group b", "arm_b"), ("group 1", "arm_a"),
    ("group 2", "arm_b"), ("arm 1", "arm_a"), ("arm 2", "arm_b"), ("follow up", "followup"), ("pre test", "pre"),
    ("pre treatment", "pre"), ("post treatment", "post"), ("post test", "post"), ("wait list", "waitlist"),
    ("waiting list", "waitlist"), ("t 0", "t0"), ("t 1", "t1"), ("t 2", "t2"), ("t 3", "t3"),
    ("inter quartile range", "iqr"), ("median survival", "survival"), ("median time", "survival"),
)  # fmt: skip
STATISTICS = {
    "mean": "mean", "means": "mean", "m": "mean", "average": "mean", "avg": "mean",
    "sd": "sd", "sds": "sd", "se": "se", "sem": "se",
    "n": "n", "median": "median", "mdn": "median", "iqr": "iqr", "q1": "q1", "q3": "q3",
    "min": "min", "minimum": "min", "max": "max", "maximum": "max",
    "events": "events", "event": "events", "responders": "events", "remitters": "events", "cases": "events",
    "responded": "events", "remitted": "events", "response": "events", "remission": "events",
    "total": "total", "totaln": "total",
    "percent": "event_percent", "pct": "event_percent", "survival": "median_survival",
}  # fmt: skip
LOW, HIGH = {"low", "lower", "lcl", "lb", "ll", "lo"}, {"high", "upper", "ucl", "ub", "ul", "hi"}
PHASED = {"baseline": {"mean", "sd", "n", "se"}, "change": {"mean", "sd", "se", "ci_low", "ci_high"}}


@dataclass(frozen=True, slots=True)
class HeaderWords:
    """What the words of a header say.

    Attributes
    ----------
    statistic : str
        Our name of the statistic without the arm; empty when there is none.
    arm : int
        1 or 2; 0 when no arm is named, -1 when both are.
    later : bool
        Whether a follow-up is named.
    unknown : tuple of str
        Words that say nothing known.
    """

    statistic: str
    arm: int
    later: bool
    unknown: tuple[str, ...]


def plain_header(header: str) -> str:
    """Return a header in lower case, its words separated by single blanks.

    Examples
    --------
    >>> plain_header("MeanIPT (post)"), plain_header("n_1"), plain_header("%female")
    ('mean ipt post', 'n 1', 'percent female')
    """
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header).lower()
    text = re.sub(r"\b95\s*%", " 95 ", text).replace("%", " percent ").replace("#", " n ")
    return " ".join(re.findall(r"[a-z]+|\d+", text))


def read_header(header: str) -> HeaderWords:
    """Return what the words of a header say.

    Examples
    --------
    >>> read_header("SD (control)")
    HeaderWords(statistic='sd', arm=2, later=False, unknown=())
    """
    text = f" {plain_header(header)} "
    for phrase, word in PHRASES:
        text = text.replace(f" {phrase} ", f" {word} ")
    words = text.split()
    phase = "baseline" if set(words) & BASELINE else "change" if set(words) & CHANGE else ""
    statistic, used = _statistic(words)
    if phase:
        ours = {"ci_low": "ci_low", "ci_high": "ci_high"}.get(statistic, statistic)
        statistic = f"{phase}_{ours}" if ours in PHASED[phase] else ""
    elif statistic in {"ci_low", "ci_high"}:
        statistic = f"mean_{statistic}"
    rest = [word for word in words if word not in used | BASELINE | CHANGE | POST | LATER]
    first = [word for word in rest if word in ARM_1 or word == "arm_a"]
    second = [word for word in rest if word in ARM_2 or word == "arm_b"]
    arm = -1 if first and second else 1 if first else 2 if second else 0
    unknown = tuple(word for word in rest if word not in {*first, *second} and word not in FILLERS)
    return HeaderWords(statistic, arm, bool(set(words) & LATER), unknown)


def _statistic(words: list[str]) -> tuple[str, set[str]]:
    """Return the statistic that the words name and the words that name it."""
    if "ci" in words and not set(words) & (LOW | HIGH):
        return ("mean_ci", {"ci", "mean", "m", "95"}) if set(words) & {"mean", "m"} else ("", {"ci"})
    if "ci" in words:
        for side, names in (("ci_low", LOW), ("ci_high", HIGH)):
            if set(words) & names:
                return side, {"ci", "mean", "m", *names}
        return "", {"ci"}
    found = {STATISTICS[word]: word for word in words if word in STATISTICS}
    if "events" in found and "event_percent" in found:
        return "event_percent", {found["events"], found["event_percent"]}
    if "event_percent" in found and len(found) > 1:
        return "", set(found.values())
    if "total" in found and "n" in found:
        return "n", {found["n"], found["total"]}
    if "events" in found and "n" in found:
        return "events", {found["n"], found["events"]}
    both = {("mean", "sd"): "mean_sd", ("mean", "se"): "mean_se", ("iqr", "median"): "median_iqr"}
    if len(found) == 2 and (name := both.get(tuple(sorted(found)))):  # type: ignore[arg-type]
        return name, set(found.values())
    if len(found) == 1 and "median" in found and "range" in words:
        return "median_range", {found["median"], "range"}
    if len(found) == 1:
        name, word = next(iter(found.items()))
        return name, {word}
    return "", set(found.values())
