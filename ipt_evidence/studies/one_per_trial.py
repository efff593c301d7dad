"""One effect per trial by choice: the highest, the lowest or the first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.options import choose

TrialRule = Literal["highest", "lowest", "first"]


def one_per_trial(
    effects: pd.DataFrame, *, rule: TrialRule = "highest", by: str | Sequence[str] = "trial_id"
) -> pd.DataFrame:
    """Keep one row of each trial.

    Parameters
    ----------
    effects : pandas.DataFrame
        Effects table with the column ``effect``.
    rule : {"highest", "lowest", "first"}
        Which effect of a trial is kept; of equal ones the first. Positive effects favour IPT, so ``"highest"`` is the
        view most favourable to it.
    by : str or sequence of str, optional
        Columns whose values together make a unit; ``["trial_id", "contrast"]`` keeps one row per trial and contrast.

    Returns
    -------
    pandas.DataFrame
        One row per unit, in the order of the table and with its index. A row without an effect is kept only when
        its unit has none at all, so that the trial stays in the table with its reason.

    Raises
    ------
    OptionError
        The rule does not exist.
    SchemaError
        ``effect`` or a column of `by` is missing.

    Notes
    -----
    These are the "highest" and "lowest" analyses of the usual sensitivity set [1]_.

    References
    ----------
    .. [1] Harrer M, Cuijpers P, Furukawa TA, Ebert DD. Doing Meta-Analysis with R: A Hands-On Guide. Chapman &
       Hall/CRC, 2021. doi:10.1201/9781003107347

    Examples
    --------
    >>> import pandas as pd
    >>> effects = pd.DataFrame({"trial_id": ["a", "a", "b"], "effect": [0.2, 0.5, 0.1]})
    >>> one_per_trial(effects, rule="lowest")
      trial_id  effect
    0        a     0.2
    2        b     0.1
    """
    choose("rule", rule, TrialRule)
    units = [by] if isinstance(by, str) else list(by)
    if not units:
        raise OptionError("by must name at least one column; received an empty list")
    absent = [column for column in ("effect", *units) if column not in effects]
    if absent:
        message = "the column is missing; make the table with effect_sizes first"
        raise SchemaError([Problem(message, column=column) for column in absent])
    return effects.iloc[sorted(_chosen(effects.reset_index(drop=True), rule, units))]


def _chosen(effects: pd.DataFrame, rule: TrialRule, units: list[str]) -> list[int]:
    """Return the position of the row that each unit keeps."""
    rank = {"highest": -effects["effect"], "lowest": effects["effect"], "first": effects["effect"].notna() * -1.0}[rule]
    ordered = rank.sort_values(kind="stable", na_position="last").index
    return [int(position) for position in effects.loc[ordered].drop_duplicates(units).index]
