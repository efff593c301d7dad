"""Flags on rows that may be one: repeated comparisons, one trial under two names, and a direction unlike the others."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from ipt_evidence.studies.arms_keys import words_key
from ipt_evidence.studies.flags_table import PRINTED, FlagTable, Hit

FINAL = tuple(f"{name}_{side}" for name in ("mean", "sd", "n") for side in (1, 2))
CHANGE = tuple(f"{name}_{side}" for name in ("change_mean", "change_sd", "n") for side in (1, 2))
EVENTS = tuple(f"{name}_{side}" for name in ("events", "total") for side in (1, 2))
MOST_ALIKE = 4
"""More trials of one author with equal groups are a name and a size that are common, not one trial."""
SURNAME = re.compile(r"[^\W\d_]{2,}(?:[-'’][^\W\d_]+)*")


def repeat_flags(table: FlagTable) -> list[Hit]:
    """Return the flags duplicate_comparison and same_trial_two_names.

    Parameters
    ----------
    table : FlagTable
        The table.
    """
    copied = _numbers_of_another(table)
    return [*_within_trials(table), *copied, *_like_another(table, {hit.at for hit in copied})]


def _within_trials(table: FlagTable) -> list[Hit]:
    """Return rows of a trial with all numbers of an earlier row of it."""
    numbers = {name: table[name] for name in dict.fromkeys((*FINAL, *CHANGE, *EVENTS, *PRINTED))}
    data = pd.DataFrame(numbers)
    complete = (
        data[list(FINAL)].notna().all(axis=1)
        | data[list(CHANGE)].notna().all(axis=1)
        | data[list(EVENTS)].notna().all(axis=1)
        | data[["effect", "effect_se"]].notna().all(axis=1)
        | data[["effect", "ci_low", "ci_high"]].notna().all(axis=1)
    ).to_numpy()
    group = data.assign(trial=table.trial, at=np.arange(len(data)))[complete]
    names = [name for name in group.columns if name != "at"]
    if not group.duplicated(names).any():
        return []
    earlier = group.groupby(names, sort=False, dropna=False)["at"].transform("first")
    again = (earlier != group["at"]).to_numpy()
    question = {name: table.text(name) for name in ("outcome", "rating", "time")}
    question |= {"instrument": table.instrument, "arms": (table.arms["arm_1"] + " | " + table.arms["arm_2"]).to_numpy()}
    weeks = table["time_weeks"]
    found: list[Hit] = []
    for at, source in zip(group["at"].to_numpy()[again], earlier.to_numpy()[again], strict=True):
        differ = [name for name, keys in question.items() if keys[at] != keys[source]]
        if weeks[at] != weeks[source] and not (np.isnan(weeks[at]) or np.isnan(weeks[source])):
            differ.append("time_weeks")
        # Arms of different names with equal counts happen by chance; equal means and SDs do not.
        if differ and np.isnan(table["mean_1"][at]) and np.isnan(table["change_mean_1"][at]):
            continue
        why = f"the same numbers as {table.label(int(source))}"
        why += (
            f", which has another {' and '.join(differ)}: was a row copied?" if differ else ": the row is there twice"
        )
        found.append(_hit(table, int(at), "duplicate_comparison", why))
    return found


def _numbers_of_another(table: FlagTable) -> list[Hit]:
    """Return rows whose means, SDs and group sizes are those of a row of an earlier trial."""
    found: list[Hit] = []
    ids = table.frame["trial_id"].to_numpy(dtype=object)
    for names in (FINAL, CHANGE):
        data = pd.DataFrame({name: table[name] for name in names} | {"at": np.arange(len(ids)), "trial": table.trial})
        data = data[data[list(names)].notna().all(axis=1)]
        first = data.groupby(list(names), sort=False)[["at", "trial"]].transform("first")
        again = (data["trial"] != first["trial"]).to_numpy()
        why = "the same means, SDs and group sizes as trial {}: one trial under two names?"
        for at, source in zip(data["at"].to_numpy()[again], first["at"].to_numpy()[again], strict=True):
            found.append(_hit(table, int(at), "same_trial_two_names", why.format(ids[source])))
    return found


def _like_another(table: FlagTable, known: set[int]) -> list[Hit]:
    """Return trials whose first author, year (give or take one) and group sizes are those of an earlier trial."""
    size = [np.where(np.isnan(table[f"n_{s}"]), table[f"total_{s}"], table[f"n_{s}"]) for s in (1, 2)]
    each = pd.DataFrame({"author": _authors(table), "n_1": size[0], "n_2": size[1], "year": table["year"]})
    each = each.assign(trial=table.trial, at=np.arange(len(each)))
    each = each[(each["author"] != "") & each[["n_1", "n_2", "year"]].notna().all(axis=1)]
    each = each.drop_duplicates(["author", "n_1", "n_2", "trial"])
    group = each.groupby(["author", "n_1", "n_2"], sort=False)
    first = group[["year", "at"]].transform("first")
    again = (first["at"] != each["at"]) & (np.abs(each["year"] - first["year"]) <= 1)
    again &= (group["at"].transform("size") <= MOST_ALIKE) & ~each["at"].isin(known)
    names = table.frame["trial_id"].to_numpy(dtype=object)
    why = "first author, year and group sizes ({:g} and {:g}) are those of trial {}: one trial under two names?"
    rows, sources = each[again], first["at"].to_numpy()[again.to_numpy()]
    return [
        _hit(table, int(at), "same_trial_two_names", why.format(n_1, n_2, names[source]))
        for at, n_1, n_2, source in zip(rows["at"], rows["n_1"], rows["n_2"], sources, strict=True)
    ]


def direction_flags(table: FlagTable) -> list[Hit]:
    """Return the flag direction_differs: a score that other trials count the other way round.

    Parameters
    ----------
    table : FlagTable
        The table.
    """
    scores = ~np.isnan(table["mean_1"]) | ~np.isnan(table["change_mean_1"])
    rows = pd.DataFrame({"family": table.family, "trial": table.trial, "lower": table["lower_is_better"]})[scores]
    rows = rows[(rows["family"] != "") & rows["lower"].notna()]
    ways = rows.drop_duplicates(["family", "trial", "lower"]).groupby("family", sort=False)["lower"]
    share, count = rows["family"].map(ways.mean()), rows["family"].map(ways.size())
    minority = ((count >= 4) & (np.abs(rows["lower"] - share) > 0.74)).to_numpy()
    words = {0.0: "higher is better", 1.0: "lower is better"}
    why = "here {}, in most other trials with this instrument {}: the wrong way round turns the sign of the effect"
    return [
        Hit(int(at), "direction_differs", "lower_is_better", lower, why.format(words[lower], words[1 - lower]))
        for at, lower in zip(rows.index[minority], rows["lower"].to_numpy()[minority].tolist(), strict=True)
        if lower in words
    ]


def _authors(table: FlagTable) -> np.ndarray:
    """Return the key of the first author of each row."""
    for name in ("author", "study", "trial_id"):
        if name in table.frame.columns:
            codes, words = pd.factorize(
                table.frame[name].astype(object).where(table.frame[name].notna(), "").astype(str)
            )
            found = [SURNAME.search(str(word)) for word in words]
            keys = words_key(pd.Series([match.group() if match else "" for match in found], dtype=object))
            return np.array([*keys, ""], dtype=object)[codes]
    return np.full(len(table.trial), "", dtype=object)


def _hit(table: FlagTable, at: int, flag: str, why: str) -> Hit:
    for column in ("mean_1", "change_mean_1", "events_1", "effect"):
        if not np.isnan(table[column][at]):
            return Hit(at, flag, column, float(table[column][at]), why)
    return Hit(at, flag, "", float("nan"), why)
