"""The answer under every defensible choice: which trials go in, and how they are analysed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.evidence.multiverse_choices import (
    NOT_APPLICABLE,
    How,
    Which,
    analyses_of,
    check_how,
    check_which,
    combinations_of,
    default_which,
)
from ipt_evidence.evidence.multiverse_data import DataSets, data_sets
from ipt_evidence.evidence.multiverse_null import NullTest, null_test
from ipt_evidence.evidence.multiverse_run import NUMBERS, Job, engine, run
from ipt_evidence.options import check_level
from ipt_evidence.pooling.effect_rows import read_effects
from ipt_evidence.pooling.notes import one_measure
from ipt_evidence.sources.showing import text_of

if TYPE_CHECKING:
    import pandas as pd

VARIANCE = ("choice", "share", "lowest_mean", "highest_mean", "options", "lowest", "highest")


@dataclass(frozen=True, slots=True, eq=False)
class Multiverse:
    """Every specification with its result.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per specification: a column for each choice, `data_set` (equal numbers: the same trials and effects)
        and `k estimate std_error ci_low ci_high p_value tau2 i2`; NaN where a specification has no estimate.
    choices : tuple of str
        Columns of the choices that have more than one option.
    measure : str
    level : float
    """

    table: pd.DataFrame = field(repr=False)
    choices: tuple[str, ...]
    measure: str
    level: float
    data: DataSets = field(repr=False)

    @property
    def interpretation(self) -> str:
        """One sentence that says how far the answer depends on the choices."""
        s = self.summary().iloc[0]
        most = self.variance().iloc[0] if self.choices else None
        moved = f"; the choice of {most['choice']} moves it most" if most is not None and most["share"] > 0 else ""
        return (
            f"Over {s['estimable']:.0f} specifications of {s['data_sets']:.0f} different data sets the pooled effect "
            f"is between {s['p5']:.2f} and {s['p95']:.2f} in nine of ten, above zero in "
            f"{100 * s['share_positive']:.0f}% and significantly so in {100 * s['share_significant']:.0f}%{moved}. "
            "Specifications are not independent and not equally sensible."
        )

    def tidy(self) -> pd.DataFrame:
        """Return all specifications."""
        return self.table.copy()

    def summary(self) -> pd.DataFrame:
        """Return number of specifications, quantiles of the estimate and shares above zero, in one row."""
        import pandas as pd

        estimate = self.table["estimate"].dropna()
        if estimate.empty:
            raise NotEstimableError("no specification of this multiverse has an estimate")
        low, p = self.table["ci_low"], self.table["p_value"]
        quantiles = {f"p{100 * q:g}": estimate.quantile(q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
        counts = {"specifications": len(self.table), "estimable": estimate.size}
        counts["data_sets"] = self.table.loc[estimate.index, "data_set"].nunique()
        shares = {
            "share_positive": float((estimate > 0).mean()),
            "share_significant": float(((p < 1 - self.level) & (low > 0)).loc[estimate.index].mean()),
        }
        return pd.DataFrame([counts | {"min": estimate.min()} | quantiles | {"max": estimate.max()} | shares])

    def variance(self) -> pd.DataFrame:
        """Return which share of the variance of the estimates goes with each choice alone, the largest first.

        Shares are those of the means per option (eta squared), over the rows to which a choice applies. In a table
        without gaps they add up with those of the interactions to one; where specifications are missing they may
        overlap.
        """
        import pandas as pd

        found = self.table[self.table["estimate"].notna()]
        total = float(((found["estimate"] - found["estimate"].mean()) ** 2).sum())
        rows = []
        for name in self.choices:
            applies = found[found[name] != NOT_APPLICABLE]
            means = applies.groupby(name, observed=True)["estimate"].agg(["mean", "size"])
            between = float((means["size"] * (means["mean"] - applies["estimate"].mean()) ** 2).sum())
            ends = {"lowest_mean": means["mean"].min(), "highest_mean": means["mean"].max()}
            options = {"options": len(means), "lowest": means["mean"].idxmin(), "highest": means["mean"].idxmax()}
            rows.append({"choice": name, "share": between / total if total > 0 else 0.0} | ends | options)
        table = pd.DataFrame(rows, columns=list(VARIANCE))
        return table.sort_values("share", ascending=False, ignore_index=True)

    def null_test(self, *, permutations: int = 500, tau2_method: Any = "DL", seed: int = 1) -> NullTest:
        """Test whether the specifications as a whole are further from zero than chance lets expect.

        Parameters
        ----------
        permutations : int
            How often the signs of trials are drawn.
        tau2_method : str
            Estimator with which every data set is fitted here, once as observed and once per draw.
        seed : int
            For the draws.

        Returns
        -------
        NullTest

        Notes
        -----
        If the true effects are symmetric around zero, every trial is as likely with all its signs turned round. One
        effect per trial is chosen after that, so the rules "highest" and "lowest" are treated fairly.
        """
        return null_test(self.data, permutations=permutations, tau2_method=tau2_method, seed=seed)

    def _repr_html_(self) -> str:
        return html_table(self.summary(), f"Multiverse: {self.measure}", (self.interpretation,)) + html_table(
            self.variance(), "Which choice moves the answer"
        )

    def __repr__(self) -> str:
        """Return in one line what there is; ``print(...)`` shows the summary."""
        estimates = self.table["estimate"].dropna()
        ends = f", estimates {estimates.min():.2f} to {estimates.max():.2f}" if len(estimates) else ""
        return f"<Multiverse {self.measure}: {len(self.table):,} specifications{ends}>"

    def __str__(self) -> str:
        """Return the summary and the table of the choices as text."""
        return text_of(self._repr_html_())


def multiverse(
    effects: pd.DataFrame,
    *,
    which: Which | None = None,
    how: How | Mapping[str, Any] | None = None,
    min_trials: int = 3,
    level: float = 0.95,
    n_jobs: int = 1,
    client: Any = None,
    checkpoint: str | PathLike[str] | None = None,
    progress: bool | Callable[[int, int], None] | None = None,
) -> Multiverse:
    """Pool the effects under every combination of choices.

    Parameters
    ----------
    effects : pandas.DataFrame
        Effects of one question (such as one contrast of one condition); rows of a trial share `trial_id`.
    which : mapping, optional
        For every choice of rows its options: name to ``None`` (all rows), a mapping of columns to values (as
        :func:`ipt_evidence.studies.table.select`), or a function of the table that returns one truth value per row. By
        default population, format, comparator, instrument, rating and risk of bias, each option being all rows or a
        value that at least five trials have.
    how : mapping, optional
        Lists of values: ``effect_rule`` (``"aggregate"``, ``"mean"``, ``"highest"``, ``"lowest"``, ``"first"``);
        ``rho`` for the first two; ``adjustment`` (``"none"``, ``"outliers_removed"``, ``"pet_peese"``);
        ``tau2_method``; ``ci_method`` (``"wald"``, ``"t"``, ``"hksj"``, ``"hksj-adhoc"``).
    min_trials : int
        Specifications with fewer trials have no estimate.
    level : float
        Level of the intervals.
    n_jobs : int
        Workers of joblib; -1 for all cores.
    client : distributed.Client, optional
        A Dask cluster to work on; the result is the same, and a worker that dies does no harm.
    checkpoint : path-like, optional
        Folder in which finished parts are kept. The same call goes on there after an interruption and ends with the
        same bits.
    progress : bool or callable, optional
        Show a bar (by default on a terminal), or call with the number of data sets done and in all.

    Returns
    -------
    Multiverse

    Raises
    ------
    OptionError
        A choice cannot be used; all are named.
    SchemaError
        The table cannot be pooled, or the folder holds another job.
    NotEstimableError
        No row has both effect and variance.

    Notes
    -----
    Selections that leave the same rows are fitted once. PET-PEESE has its own model, so it is counted once per data set
    and not once per estimator of tau2.

    References
    ----------
    Steegen S, Tuerlinckx F, Gelman A, Vanpaemel W. Increasing transparency through a multiverse analysis. Perspect
    Psychol Sci 2016;11:702-712. doi:10.1177/1745691616658637
    Voracek M, Kossmeier M, Tran US. Which data to meta-analyze, and how? A specification-curve and multiverse-analysis
    approach to meta-analysis. Z Psychol 2019;227:64-82. doi:10.1027/2151-2604/a000357

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> effect = [0.2, 0.5, 0.9, 0.3, 0.6, 0.1]
    >>> table = pd.DataFrame({"effect": effect, "variance": 0.04, "trial_id": list("aabbcd"), "rating": list("xyxyxy")})
    >>> every = ipt.multiverse(table, which={"rating": {"all": None, "only x": {"rating": "x"}}})
    >>> len(every.table), every.choices
    (102, ('rating', 'effect_rule', 'adjustment', 'tau2_method', 'ci_method'))
    """
    check_level(level)
    complete = check_how(how)
    y, _, _ = read_effects(effects)
    if np.isnan(y).all():
        raise NotEstimableError("a multiverse needs effects with variances; no row has both")
    measure = one_measure(effects, y)
    masks = check_which(default_which(effects) if which is None else which, effects)
    analyses = analyses_of(complete)
    data = data_sets(effects, masks, combinations_of(complete))
    job = Job(tuple(analyses), level, engine(*data.effect.shape))
    _check_counts(n_jobs, min_trials)
    if client is not None and n_jobs != 1:
        raise OptionError("client and n_jobs exclude each other: a cluster has its own workers")
    with _ticking(progress, data.effect.shape[0]) as tick:
        numbers = run(data, job, n_jobs=n_jobs, client=client, checkpoint=checkpoint, tick=tick)
    numbers[:, 1:][np.broadcast_to((numbers[:, :1] < min_trials), numbers[:, 1:].shape)] = np.nan
    table = _table(numbers, data, analyses, list(masks))
    names = table.columns[: list(table.columns).index("data_set")]
    choices = tuple(name for name in names if table.loc[table[name] != NOT_APPLICABLE, name].nunique() > 1)
    return Multiverse(table, choices, measure, level, data)


def _check_counts(n_jobs: object, min_trials: object) -> None:
    """Refuse numbers of workers and of trials that are none; both are named."""
    faults = []
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        faults.append(f"n_jobs must be a whole number of workers, or -1 for all cores; received {n_jobs!r}")
    if isinstance(min_trials, bool) or not isinstance(min_trials, int) or min_trials < 1:
        faults.append(f"min_trials must be a whole number of at least 1; received {min_trials!r}")
    if faults:
        raise OptionError("; ".join(faults))


def _table(numbers: Any, data: DataSets, analyses: list[Any], names: list[str]) -> pd.DataFrame:
    """Return one row per specification: selections outermost, analyses innermost."""
    import pandas as pd

    chosen = np.moveaxis(numbers[:, :, data.of_selection], 2, 0).reshape(-1, len(NUMBERS))
    columns: dict[str, Any] = {}
    for place, name in enumerate([*names, "effect_rule", "rho"]):
        labels = [selection[place] for selection in data.selections]
        columns[name] = pd.Categorical(np.repeat(labels, len(analyses)), categories=list(dict.fromkeys(labels)))
    for name in ("adjustment", "tau2_method", "ci_method"):
        labels = [getattr(analysis, name) for analysis in analyses]
        columns[name] = pd.Categorical(labels * len(data.selections), categories=list(dict.fromkeys(labels)))
    columns["data_set"] = np.repeat(data.of_selection, len(analyses))
    columns.update(zip(NUMBERS, chosen.T, strict=True))
    columns["k"] = columns["k"].astype(np.int64)
    return pd.DataFrame(columns)


@contextmanager
def _ticking(progress: bool | Callable[[int, int], None] | None, total: int) -> Iterator[Callable[[int], None]]:
    """Give a function to be called with the number of data sets done since the last call."""
    done = 0
    if callable(progress):

        def report(n: int) -> None:
            nonlocal done
            done += n
            progress(done, total)

        yield report
    elif progress or (progress is None and sys.stderr.isatty()):
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("multiverse", total=total)
            yield lambda n: bar.advance(task, n)
    else:
        yield lambda n: None
