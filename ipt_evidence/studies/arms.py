"""Trials with more than two arms: find the comparisons that share an arm.

:func:`combine_arms` and :func:`split_shared_control` change the rows so that nobody is counted twice;
``multilevel(effects, vcov=sampling_covariance(effects))`` keeps the rows and carries their covariance into the fit.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from ipt_evidence.studies.arms_combine import combine_arms
from ipt_evidence.studies.arms_keys import arm_key, arm_keys, check_arm_columns
from ipt_evidence.studies.arms_split import split_shared_control

__all__ = ["arm_key", "arm_keys", "combine_arms", "shared_arms", "split_shared_control"]

COLUMNS = ("trial_id", "arm", "labels", "side", "shared_in", "contrasts", "other_arms", "n_comparisons", "rows")


def shared_arms(frame: pd.DataFrame) -> pd.DataFrame:
    """List the arms that several comparisons of a trial share.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies or effects with ``trial_id``, ``arm_1`` and ``arm_2``.

    Returns
    -------
    pandas.DataFrame
        One row per shared arm: ``trial_id``; ``arm`` (its most frequent label) and ``labels`` (all of them);
        ``side`` (``arm_1``, ``arm_2`` or ``both``); ``shared_in``: ``"contrast"`` when two comparisons of one contrast
        share it, so that pooling this contrast counts its participants twice, else ``"trial"``; ``contrasts``,
        ``other_arms``, ``n_comparisons`` (pairs of arms, not rows) and ``rows`` (their labels in the index of `frame`).
        Trials and arms in order of first appearance; no rows when nothing is shared.

    Raises
    ------
    OptionError
        `frame` is not a DataFrame.
    SchemaError
        A column is missing.

    Notes
    -----
    Arms are recognised by :func:`arm_key`. Several outcomes of the same two arms are one comparison.

    Examples
    --------
    >>> import pandas as pd
    >>> trial = pd.DataFrame({"trial_id": "markowitz2015", "arm_1": "ipt", "contrast": "ipt_vs_psychotherapy",
    ...                       "arm_2": ["prolonged exposure", "relaxation therapy"]})
    >>> shared_arms(trial)[["arm", "shared_in", "other_arms", "rows"]].iloc[0].tolist()
    ['ipt', 'contrast', 'prolonged exposure; relaxation therapy', (0, 1)]
    """
    check_arm_columns(frame)
    arms = _arm_rows(frame)
    partners = arms.groupby(["code", "key"], sort=False)["other"].transform("nunique")
    shared = arms[(partners > 1) & (arms["key"] != "")].sort_values("position", kind="stable")
    found = [_describe(rows) for _, rows in shared.groupby(["code", "key"], sort=False)]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _arm_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per row of the table and side."""
    keys = arm_keys(frame)
    n = len(frame)
    contrast = frame["contrast"].to_numpy(dtype=object) if "contrast" in frame else [""] * n
    common: dict[str, Any] = {
        "code": pd.factorize(frame["trial_id"], use_na_sentinel=False)[0],
        "trial": frame["trial_id"].to_numpy(dtype=object),
        "contrast": contrast,
        "row": frame.index.to_numpy(dtype=object),
        "position": range(n),
    }
    sides = []
    for side, other in (("arm_1", "arm_2"), ("arm_2", "arm_1")):
        names = {"label": frame[side].to_numpy(dtype=object), "partner": frame[other].to_numpy(dtype=object)}
        sides.append(pd.DataFrame(common | names | {"key": keys[side], "other": keys[other], "side": side}))
    return pd.concat(sides, ignore_index=True)


def _describe(rows: pd.DataFrame) -> tuple[object, ...]:
    """Return what is said of one shared arm."""
    columns = {name: rows[name].tolist() for name in rows.columns}
    labels = [str(label) for label in columns["label"]]
    partners: dict[str, str] = {}
    contrasts: dict[str, set[str]] = {}
    for contrast, other, partner in zip(columns["contrast"], columns["other"], columns["partner"], strict=True):
        partners.setdefault(other, str(partner))
        contrasts.setdefault(str(contrast), set()).add(other)
    sides = list(dict.fromkeys(columns["side"]))
    return (
        columns["trial"][0],
        max(labels, key=labels.count),
        "; ".join(dict.fromkeys(labels)),
        sides[0] if len(sides) == 1 else "both",
        "contrast" if any(len(others) > 1 for others in contrasts.values()) else "trial",
        "; ".join(contrasts),
        "; ".join(partners.values()),
        len(partners),
        tuple(dict(zip(columns["position"], columns["row"], strict=True)).values()),
    )
