"""Quality flags: numbers in a table of trial results that a careful reader would look up again.

Nothing is changed by a flag; :func:`without_flagged` makes the table for a sensitivity analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose
from ipt_evidence.studies.flags_counts import count_flags, likeness_flags, range_flags
from ipt_evidence.studies.flags_effects import effect_flags
from ipt_evidence.studies.flags_grim import grim_flags
from ipt_evidence.studies.flags_repeats import direction_flags, repeat_flags
from ipt_evidence.studies.flags_spread import spread_flags
from ipt_evidence.studies.flags_table import FlagTable, Hit, read_flag_table

Flag = Literal[
    "events_above_total",
    "n_above_randomised",
    "sd_not_positive",
    "mean_outside_range",
    "sd_impossible",
    "se_as_sd",
    "sd_outlier",
    "large_effect",
    "inconsistent_effect",
    "inconsistent_ci",
    "inconsistent_p",
    "direction_differs",
    "identical_arms",
    "post_equals_baseline",
    "duplicate_comparison",
    "same_trial_two_names",
    "baseline_imbalance",
    "grim",
    "grimmer",
]
Severity = Literal["impossible", "suspicious", "note"]
Whole = Literal["trials", "rows"]
FLAGS: tuple[str, ...] = get_args(Flag)
IMPOSSIBLE = frozenset(FLAGS[:5])
NOTES = frozenset(FLAGS[-3:])
MEANING = {
    "events_above_total": "more events than participants",
    "n_above_randomised": "more participants analysed than randomised",
    "sd_not_positive": "SD of zero or below",
    "mean_outside_range": "mean outside the range of the instrument",
    "sd_impossible": "SD larger than the range of the instrument allows",
    "se_as_sd": "standard error typed as SD",
    "sd_outlier": "SD unlike the usual SD of the instrument",
    "large_effect": "standardised effect above 2",
    "inconsistent_effect": "printed effect and raw numbers disagree",
    "inconsistent_ci": "printed effect, interval and standard error disagree",
    "inconsistent_p": "printed effect and p value disagree",
    "direction_differs": "direction of the scale unlike other trials",
    "identical_arms": "both arms have the same mean and SD",
    "post_equals_baseline": "numbers after treatment are those of the baseline",
    "duplicate_comparison": "the row repeats another",
    "same_trial_two_names": "one trial under two names",
    "baseline_imbalance": "arms differ before treatment by more than half an SD",
    "grim": "mean impossible for whole scores of so many persons",
    "grimmer": "SD impossible for whole scores of so many persons",
}
COLUMNS = ("row", "comparison_id", "trial_id", "study", "flag", "column", "value", "why", "severity")
TRIALS_NAMED = 6


def quality_flags(frame: pd.DataFrame) -> pd.DataFrame:
    """List numbers that look wrong, each with its reason; nothing is changed.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies or effects, rows in any order, with ``trial_id`` and any columns of the row contract. Also read:
        ``n_randomised_1``, ``n_randomised_2`` (or ``n_randomised`` for both arms) and ``p_value``.

    Returns
    -------
    pandas.DataFrame
        One row per flag and cell, in the order of `frame`: ``row`` (label in its index, for ``frame.loc``),
        ``comparison_id trial_id study``, ``flag``, ``column`` and ``value`` of the cell, ``why``, and ``severity``:
        ``impossible`` (cannot be true), ``suspicious`` (look it up), ``note`` (often innocent). ``attrs["summary"]``
        holds :func:`flags_summary`.

    Raises
    ------
    OptionError
        `frame` is not a DataFrame.
    SchemaError
        ``trial_id`` is missing, or a column is there twice.

    Notes
    -----
    SDs are compared, on the log scale, with the median of at least three other trials with the same instrument (or
    instrument family), each trial counting once; below three, with the trial's own baseline, then with its other arm.
    An SD is an outlier beyond three robust scales (1.4826 x MAD, at least 0.3; four at baseline), widened by its own
    sampling error. It is taken for a standard error when,
    multiplied by sqrt(n), it becomes an ordinary SD, and this is 90 times likelier than a small SD; not when the means
    are smaller by the same factor (another unit). With few trials, or when most of them have the fault, it stays
    unseen.
    Score ranges are those of :mod:`ipt_evidence.studies.flags_scales`. ``grim`` and ``grimmer`` know the decimals only
    as far as a float does (8.50 is 8.5), which makes them miss, not accuse; imputed or adjusted means fail them
    innocently.

    References
    ----------
    Brown NJL, Heathers JAJ. The GRIM test: a simple technique detects numerous anomalies in the reporting of results in
    psychology. Soc Psychol Personal Sci 2017;8:363-369. doi:10.1177/1948550616673876
    Anaya J. The GRIMMER test: a method for testing the validity of reported measures of variability. PeerJ Preprints
    2016;4:e2400v1. doi:10.7287/peerj.preprints.2400v1

    Examples
    --------
    >>> from ipt_evidence.sources.registry import load_dataset
    >>> flags = quality_flags(load_dataset("ipt"))
    >>> flags.loc[flags["flag"] == "se_as_sd", ["trial_id", "column", "value"]].to_numpy().tolist()
    [['lenze2017', 'sd_1', 1.22], ['lenze2017', 'sd_2', 1.72]]
    """
    table = read_flag_table(frame)
    found = _found(table)
    at = np.array([hit.at for hit in found], dtype=np.intp)
    names = {name: _names(frame, name, at) for name in ("comparison_id", "trial_id", "study")}
    flags = [hit.flag for hit in found]
    columns = {
        "row": frame.index[at],
        **names,
        "flag": flags,
        "column": [hit.column for hit in found],
        "value": np.array([hit.value for hit in found], dtype=np.float64),
        "why": [hit.why for hit in found],
        "severity": [severity(flag) for flag in flags],
    }
    result = pd.DataFrame(columns, columns=list(COLUMNS), index=pd.RangeIndex(len(found)))
    result.attrs["summary"] = flags_summary(result)
    return result


def flags_summary(flags: pd.DataFrame) -> str:
    """Return the flags as a short text: how many trials, which ones, the worst first.

    Parameters
    ----------
    flags : pandas.DataFrame
        From :func:`quality_flags`, all or some rows.

    Returns
    -------
    str
        One line a flag; ``No flags.`` when there is none.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"comparison_id": "a", "trial_id": "t", "study": "Lee 2010", "events_1": 12, "total_1": 10}
    >>> print(flags_summary(quality_flags(pd.DataFrame([row]))))
    1 flag in 1 trial; nothing was changed.
    impossible  events_above_total    1 trial: Lee 2010 (more events than participants)
    """
    if flags.empty:
        return "No flags."
    trials = flags["trial_id"].nunique()
    lines = [f"{_count(len(flags), 'flag')} in {_count(trials, 'trial')}; nothing was changed."]
    for flag in FLAGS:
        rows = flags[flags["flag"] == flag].drop_duplicates("trial_id")
        if len(rows):
            names = [str(study or trial) for study, trial in zip(rows["study"], rows["trial_id"], strict=True)]
            more = f" and {len(names) - TRIALS_NAMED} more" if len(names) > TRIALS_NAMED else ""
            listed = ", ".join(names[:TRIALS_NAMED]) + more
            lines.append(f"{severity(flag):<11} {flag:<21} {_count(len(names), 'trial')}: {listed} ({MEANING[flag]})")
    return "\n".join(lines)


def without_flagged(
    frame: pd.DataFrame, *, flags: str | Sequence[str] = "se_as_sd", whole: Whole = "trials"
) -> pd.DataFrame:
    """Leave out what carries certain flags, for a sensitivity analysis.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies or effects.
    flags : str or sequence of str
        Flags of :func:`quality_flags`.
    whole : {"trials", "rows"}
        Whether every row of a flagged trial is left out, or the flagged rows alone.

    Returns
    -------
    pandas.DataFrame
        The other rows, with their index; ``attrs["left_out"]`` names the trials and why.

    Raises
    ------
    OptionError
        An option is not among its choices, or `frame` is not a DataFrame.

    Examples
    --------
    >>> from ipt_evidence.sources.registry import load_dataset
    >>> primary = load_dataset("ipt")
    >>> less = without_flagged(primary, flags="se_as_sd")
    >>> len(primary) - len(less), less.attrs["left_out"]
    (1, ('lenze2017: se_as_sd',))
    """
    chosen = [flags] if isinstance(flags, str) else list(flags)
    if not chosen:
        raise OptionError("flags must name at least one flag; received an empty list")
    for flag in chosen:
        choose("flags", flag, Flag)
    choose("whole", whole, Whole)
    table = read_flag_table(frame)
    found = [hit for hit in _found(table) if hit.flag in chosen]
    out = np.zeros(len(frame), dtype=bool)
    out[[hit.at for hit in found]] = True
    if whole == "trials":
        out = np.isin(table.trial, table.trial[out])
    result = frame[~out].copy()
    names = frame["trial_id"].astype(str).to_numpy()
    result.attrs["left_out"] = tuple(dict.fromkeys(f"{names[hit.at]}: {hit.flag}" for hit in found))
    return result


def severity(flag: str) -> Severity:
    """Return how sure it is that something is wrong."""
    if flag in IMPOSSIBLE:
        return "impossible"
    return "note" if flag in NOTES else "suspicious"


def _found(table: FlagTable) -> list[Hit]:
    """Return all flags by row, then as in the list of flags."""
    checks = (
        count_flags,
        range_flags,
        spread_flags,
        effect_flags,
        direction_flags,
        likeness_flags,
        repeat_flags,
        grim_flags,
    )
    place = {flag: at for at, flag in enumerate(FLAGS)}
    return sorted(
        (hit for check in checks for hit in check(table)), key=lambda hit: (hit.at, place[hit.flag], hit.column)
    )


def _names(frame: pd.DataFrame, column: str, at: np.ndarray) -> list[str]:
    if column not in frame.columns:
        return [""] * len(at)
    cells = frame[column].iloc[at]
    return cells.astype(object).where(cells.notna(), "").astype(str).tolist()


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
