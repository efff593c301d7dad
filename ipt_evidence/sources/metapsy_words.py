"""What the codes of Metapsy files mean: arms, comparators, raters, times, groups, disorders, outcomes."""

from __future__ import annotations

import re
from collections.abc import Mapping

COMPARATOR_WORDS: dict[str, tuple[str, ...]] = {
    "waitlist": ("wl", "wlc", "waitlist", "wait list", "waiting list", "waitinglist", "wait-list"),
    "care_as_usual": (
        *("cau", "tau", "care as usual", "treatment as usual", "usual care", "tau/nt", "gp", "eau"),
        "enhanced care as usual",
    ),
    "placebo": ("pl", "plac", "placebo", "pill placebo", "app", "psychological placebo", "attention placebo"),
    "no_intervention": ("nt", "no treatment", "no intervention", "none control", "assessment", "no contact"),
    "other_control": (
        *("other ctr", "other control", "other", "oth ctr", "control", "ctr", "minimal attention", "att"),
        *("attention control", "pe", "psychoeducation", "ctrl"),
    ),
    "cbt": ("cbt", "ct", "cognitive therapy", "cognitive behavior therapy", "cognitive behaviour therapy", "tf-cbt"),
    "other_psychotherapy": (
        *("other psy", "bat", "bt", "pst", "dyn", "lrt", "sup", "sp", "3rd", "3w", "emdr", "exposure", "ipt", "pdt"),
        *("supportive counseling", "supportive counselling", "supportive psychotherapy", "psychodynamic therapy"),
        *("behavioral activation", "problem solving therapy", "life review therapy", "pt", "pd", "pe ", "net"),
        *("other psychotherapy", "other psychological treatment", "counseling", "counselling", "relaxation"),
    ),
    "pharmacotherapy": ("pha", "pharmacotherapy", "medication", "ad", "antidepressant", "bzp", "drug", "med"),
    "combined": ("com", "comb", "combined", "combination", "psy+pha", "cbt+pha", "ipt+pha"),
}
COMPARATOR_OF = {word: kind for kind, words in COMPARATOR_WORDS.items() for word in words}
CONTROLS = ("waitlist", "care_as_usual", "placebo", "no_intervention", "other_control")
CLASS_OF = {
    **dict.fromkeys(CONTROLS, "control"),
    "cbt": "psychotherapy",
    "other_psychotherapy": "psychotherapy",
    "pharmacotherapy": "pharmacotherapy",
    "combined": "combined",
}
# Codes such as PE (prolonged exposure, psychoeducation) mean another thing in the first arm than in the second.
NO_PSYCHOTHERAPY = frozenset(
    word
    for kind in ("pharmacotherapy", "combined", "waitlist", "care_as_usual", "placebo", "no_intervention")
    for word in COMPARATOR_WORDS[kind]
) - {"app", "ad", "pl", "gp"}
SYMPTOM_SCALE = re.compile(
    r"(bdi|ham-?[da]|hdrs|hrsd|hars|phq|ces-?d|epds|madrs|gds|qids|ids|hads|dass|scl|bsi|zung|sds|k-?10|caps|pcl|ies|pds|"
    r"pss-?(i|sr)|lsas|sps|sias|fne|spai|pdss|acq|asi|bai|gad-?7|stai|pswq|y-?bocs|isi|psqi|cgi-?s|fq)(?![a-z])"
)
RATING_OF = {
    **dict.fromkeys(("self-report", "self report", "sr", "self", "selfreport", "self-rated", "patient"), "self"),
    **dict.fromkeys(("clinician", "cr", "clinician-rated", "clinician rated", "observer", "interview"), "clinician"),
}
GROUP_OF = {
    **dict.fromkeys(("adul", "adult", "adults", "yadul", "young adults", "stud", "students"), "adults"),
    **dict.fromkeys(("old", "olderold", "older", "older adults", "elderly"), "older_adults"),
    **dict.fromkeys(("adol", "adolescents", "adolescent", "youth"), "adolescents"),
    **dict.fromkeys(("chil", "child", "children", "kids"), "children"),
    **dict.fromkeys(("ppd", "perinatal", "postpartum"), "perinatal"),
    **dict.fromkeys(("med", "medical"), "medical"),
    **dict.fromkeys(("oth", "other", "stud/oth"), "other"),
}
DISORDERS: dict[str, tuple[str, ...]] = {
    "depression": ("depress", "dysthym", "mdd", "dep-"),
    "eating_disorder": ("eating", "bulimi", "anorexi", "binge", "bed-", "ed-psy"),
    "anxiety": (
        *("anxi", "panic", "phobi", "ptsd", "post-trauma", "posttrauma", "trauma", "sad-psy", "gad", "agoraphob"),
        "sad-",
    ),
    "other": (
        *("borderline", "psychos", "psychot", "schizo", "grief", "suicid", "insomn", "adhd", "ocd", "obsess"),
        *("bipolar", "gambl", "addict", "substance", "irritab", "bpd", "pain"),
    ),
}
GOOD_EVENT = re.compile(
    r"remi[st]|respon[sd]|recover|improv|reduc|sign\.? change|not meeting|no longer|loss of diag|rci|success"
)
BAD_EVENT = re.compile(r"deterior|relaps|recurr|drop-?\s?out|attrition|worsen|harm|onset|non-?respon|no response")


def comparator_of(word: str) -> str:
    """Return the class of comparator a code stands for, ``""`` when it is not known.

    Examples
    --------
    >>> comparator_of("wlc"), comparator_of("TAU/NT"), comparator_of("Waitlist (8 weeks)"), comparator_of("xyz")
    ('waitlist', 'care_as_usual', 'waitlist', '')
    """
    plain = word.strip().lower()
    return COMPARATOR_OF.get(plain) or COMPARATOR_OF.get(re.sub(r"\s*\(.*\)$", "", plain), "")


def lookup(words: Mapping[str, str], cell: str) -> str:
    """Return what a code stands for; a remark in parentheses behind it does not count."""
    plain = cell.strip().lower()
    return words.get(plain) or words.get(re.sub(r"\s*\(.*\)$", "", plain), "")


def time_of(cell: str) -> str:
    """Return ``post`` or ``followup`` for a code such as ``fu2``, ``""`` when it is not known."""
    plain = cell.strip().lower()
    if re.fullmatch(r"post(-?\s?(test|treatment))?", plain):
        return "post"
    return "followup" if re.fullmatch(r"(fu|follow-?\s?up)[\s_-]*\d*.*", plain) else ""


def disorder_of(text: str) -> str:
    """Return the condition that the name of a database or a disorder speaks of, ``""`` when none is recognised.

    Examples
    --------
    >>> disorder_of("depression-psyctr"), disorder_of("Post-Traumatic Stress Disorder"), disorder_of("data")
    ('depression', 'anxiety', '')
    """
    plain = text.strip().lower().replace("_", "-").replace(" ", "-")
    for condition, words in DISORDERS.items():
        if any(plain.startswith(word) or f"-{word}" in plain for word in words):
            return condition
    return ""


def event_is_good(outcome: str) -> bool | None:
    """Return whether the event counted is good news (remission) or bad news (relapse), ``None`` when unclear.

    Examples
    --------
    >>> event_is_good("remission (cut-off)"), event_is_good("deterioration"), event_is_good("dich")
    (True, False, None)
    """
    plain = outcome.lower()
    if BAD_EVENT.search(plain):
        return False
    return True if GOOD_EVENT.search(plain) else None


def is_symptom_scale(instrument: str) -> bool:
    """Return whether an instrument is a common scale of symptoms, on which a lower score is better.

    Examples
    --------
    >>> is_symptom_scale("BDI-II"), is_symptom_scale("hdrs-17"), is_symptom_scale("WHO-5")
    (True, True, False)
    """
    return bool(SYMPTOM_SCALE.match(instrument.strip().lower()))


def contrast_of(arm_1: str, comparator: str, comparison: str) -> str:
    """Return the contrast of a row.

    Parameters
    ----------
    arm_1 : str
        Code of the first arm.
    comparator : str
        Class of the second, as :func:`comparator_of` gives it.
    comparison : str
        What the file says of the row, such as ``psy vs ctr``; empty when it says nothing.

    Examples
    --------
    >>> contrast_of("ipt", "waitlist", ""), contrast_of("cbt", "other_psychotherapy", "psy vs psy")
    ('ipt_vs_control', 'psychotherapy_vs_psychotherapy')
    """
    kind = CLASS_OF.get(comparator, "")
    said = re.sub(r"[^a-z]", "", comparison.lower())
    if not kind:
        kind = {"psyvsctr": "control", "psyctr": "control", "psyvspsy": "psychotherapy"}.get(said, "")
    first = arm_1.strip().lower()
    if re.fullmatch(r"ipt\b(?!.*(pha|medic|drug|antidep)).*|interpersonal (psycho)?therapy", first):
        known = {"control", "psychotherapy", "pharmacotherapy", "combined"}
        return f"ipt_vs_{kind}" if kind in known else "other"
    if first in NO_PSYCHOTHERAPY or not first:
        return "other"
    return f"psychotherapy_vs_{kind}" if kind in ("control", "psychotherapy") else "other"
