"""Fill group sizes, events and proportions of a table, and set aside rows that print a median survival only."""

from __future__ import annotations

import math
import re

from ipt_evidence.sources.mapping import header_label
from ipt_evidence.sources.summaries_work import Work

RATIO = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*[:/]\s*(\d{1,3}(?:\.\d+)?)")
ROUTE_COLUMNS = (
    ("mean_1", "sd_1", "mean_2", "sd_2"),
    ("change_mean_1", "change_sd_1", "change_mean_2", "change_sd_2"),
    ("events_1", "total_1", "events_2", "total_2"),
    ("effect",),
)
GOOD_EVENT = re.compile(r"\brespon|remi(ss|tt)|recover", re.IGNORECASE)
PERCENTS = ("event_percent_1", "event_percent_2", "percent_women")
SURVIVAL = ("median_survival_1", "median_survival_2")


def fill_counts(work: Work) -> None:
    """Fill n of both arms from their total, events from percentages, totals from n, proportions from percentages."""
    work.check_numbers(PERCENTS, percent=True)
    work.check_numbers(("n_total",))
    for name in PERCENTS:
        _check_percents(work, name)
    if work.has("n_total"):
        for at in range(work.rows):
            _fill_sizes(work, at)
    if work.has("event_percent_1", "event_percent_2", "events_1", "events_2"):
        for at in range(work.rows):
            for arm in (1, 2):
                _fill_events(work, at, arm)
    if work.has("percent_women", "proportion_women"):
        for at in range(work.rows):
            _fill_proportion(work, at)


def mark_median_survival(work: Work) -> None:
    """Give the rows that print a median survival and nothing else `statistics` none, with the reason."""
    if not work.has(*SURVIVAL):
        return
    for at in range(work.rows):
        printed = [name for name in SURVIVAL if not work.empty(name, at)]
        routes = [all(not work.empty(name, at) for name in names) for names in ROUTE_COLUMNS]
        if printed and not any(routes) and work.empty("statistics", at):
            shown = " and ".join(work.text(name, at) for name in printed)
            why = f"prints a median survival ({shown}), which gives no effect size; a hazard ratio with its CI would"
            work.fill("statistics", at, "none", "no statistics that can be used")
            work.fill("why_none", at, why, "added")


def check_direction(work: Work) -> None:
    """Blame rows whose effect would come from events that are good news while `lower_is_better` says they are bad."""
    headers = [header_label(work.frame, f"events_{arm}") for arm in (1, 2)]
    good = next((header for header in headers if GOOD_EVENT.search(header)), "")
    if not good:
        return
    for at in range(work.rows):
        means, changes, events, _ = (all(not work.empty(name, at) for name in names) for names in ROUTE_COLUMNS)
        if events and not (means or changes) and work.number("lower_is_better", at) == 1:
            message = (
                f"says that an event is bad news, but {good!r} counts good news and the row has no means; "
                "give this row lower_is_better 0"
            )
            work.blame("lower_is_better", at, message)


def _check_percents(work: Work, name: str) -> None:
    """Blame percentages outside 0 to 100, and a column that seems to hold proportions."""
    if not work.has(name):
        return
    values = [(at, work.number(name, at)) for at in range(work.rows) if not math.isnan(work.number(name, at))]
    for at, value in values:
        if not 0 <= value <= 100:
            work.blame(name, at, "expected a percentage from 0 to 100")
    suspects = [at for at, value in values if 0 < value <= 1 and "%" not in work.text(name, at)]
    if suspects and len(suspects) == sum(value > 0 for _, value in values):
        message = (
            "every value of this column lies between 0 and 1; expected percentages such as 45; "
            "if they are, write them with their sign (0.5%)"
        )
        work.blame(name, suspects[0], message)


def _fill_sizes(work: Work, at: int) -> None:
    """Fill n of an arm from the total and the other arm, or of both from the total and the allocation ratio."""
    total = work.number("n_total", at)
    sizes = [work.number(f"n_{arm}", at) for arm in (1, 2)]
    missing = [arm for arm in (1, 2) if work.empty(f"n_{arm}", at)]
    if math.isnan(total) or not missing:
        return
    if len(missing) == 1:
        other = sizes[2 - missing[0]]
        if total - other >= 1:
            work.fill(f"n_{missing[0]}", at, total - other, f"from n_total {total:g} minus n {other:g}")
        elif not math.isnan(other):
            work.blame("n_total", at, f"is not above n_{3 - missing[0]} = {other:g}; expected the sum of both arms")
        return
    ratio = RATIO.fullmatch(work.text("allocation", at))
    if any(all(not work.empty(name, at) for name in names) for names in ROUTE_COLUMNS[2:]):
        return
    if ratio is None or float(ratio[1]) <= 0 or float(ratio[2]) <= 0:
        message = "is given without n of the arms; fill in n_1 and n_2, or a column allocation such as 1:1"
        work.blame("n_total", at, message)
        return
    first = round(total * float(ratio[1]) / (float(ratio[1]) + float(ratio[2])))
    how = f"from n_total {total:g} and allocation {ratio[0]}"
    work.fill("n_1", at, float(first), how)
    work.fill("n_2", at, total - first, how)


def _fill_events(work: Work, at: int, arm: int) -> None:
    """Fill the total of an arm from its n, and its events from their percentage."""
    events, total, percent, size = (f"{name}_{arm}" for name in ("events", "total", "event_percent", "n"))
    if work.empty(events, at) and work.empty(percent, at):
        return
    if work.empty(total, at) and not math.isnan(work.number(size, at)):
        work.fill(total, at, work.number(size, at), f"taken from {size}")
    share, people = work.number(percent, at), work.number(total, at)
    if not work.empty(events, at) or math.isnan(share) or not 0 <= share <= 100:
        return
    if math.isnan(people):
        work.blame(percent, at, f"cannot become {events} without the group size; fill in {total} or {size}")
        return
    count = round(share / 100 * people)
    decimals = len(work.text(percent, at).rstrip(" %").partition(".")[2])
    exact = abs(100 * count / people - share) <= 0.5 * 10**-decimals + 1e-9 if people else False
    caution = "" if exact else f"; no whole number gives it, {count} of {people:g} is {100 * count / people:.3g} %"
    work.fill(events, at, float(count), f"from {share:g} % of {people:g}{caution}")


def _fill_proportion(work: Work, at: int) -> None:
    """Fill the proportion of women from a percentage."""
    share = work.number("percent_women", at)
    if work.empty("proportion_women", at) and not math.isnan(share):
        work.fill("proportion_women", at, share / 100, f"from {share:g} %")
