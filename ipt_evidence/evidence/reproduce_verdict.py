"""When a recomputed result counts as the published one: the tolerances, in one place, and the verdict in words.

The tolerances were fixed before any result was compared. They are stated in standard deviations (g) and carried over to
other scales, so that one rule holds for all rows:

- `REPRODUCED_G` = 0.02: effects of trials are printed with two decimals and instruments are averaged; with the same
  trials a pooled effect and its limits can move by that much, and no reader could see the difference.
- `NEAR_G` = 0.10: half of what the field calls a small effect (0.2), and less than half of the smallest difference that
  has been proposed to matter to patients (0.24, Cuijpers et al. 2014, doi:10.1002/da.22249).

A result is *reproduced* when estimate and printed limits are within the first and as many trials are pooled as were
printed; *near* when the estimate is within the second and inside the printed interval; else *different*. It *cannot be
tested* when fewer than half or more than twice the printed number of trials can be pooled, or fewer than two where no
number is printed: a comparison of other trials is no reproduction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Word = Literal["reproduced", "near", "different", "cannot be tested"]
REPRODUCED_G = 0.02
NEAR_G = 0.10
LOG_RATIO_PER_G = math.pi / math.sqrt(3)
RISK_PER_G = 1 / math.sqrt(2 * math.pi)
FEWEST_SHARE, MOST_TIMES = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class Result:
    """A pooled result as it is compared: on the analysis scale (logarithms for ratios), in the published direction."""

    k: float
    estimate: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict and its reason."""

    word: Word
    because: str

    def __str__(self) -> str:
        """Return the verdict as a sentence part."""
        if self.word == "reproduced":
            return "reproduced"
        return f"near: {self.because}" if self.word == "near" else f"{self.word} because {self.because}"


def scale_of(measure: str, sd: float = math.nan) -> float:
    """Return how much one standard deviation (g) is on the analysis scale of a measure.

    Parameters
    ----------
    measure : {"SMD", "MD", "OR", "RR", "RD"}
    sd : float
        Standard deviation of the instrument, for ``"MD"``.
    """
    return {"SMD": 1.0, "MD": sd, "RD": RISK_PER_G}.get(measure, LOG_RATIO_PER_G)


def untestable(published: Result, k: int) -> str:
    """Return why so many trials are no test of a published result; empty when they are."""
    if math.isnan(published.estimate):
        return "no number is printed"
    if k == 0:
        return "none of the selected rows has numbers for this measure"
    trials = f"{k} trial{'' if k == 1 else 's'}"
    if math.isnan(published.k):
        return f"the shipped data hold {trials} of it, and a pooled result is not tested by one" if k < 2 else ""
    if k < FEWEST_SHARE * published.k or k > MOST_TIMES * published.k:
        return f"the shipped data hold {trials} and the published result has {published.k:.0f}"
    return ""


def judge(published: Result, ours: Result, scale: float, may_differ: str) -> Verdict:
    """Compare a recomputed result with the published one.

    Parameters
    ----------
    published, ours : Result
        NaN where something is not printed.
    scale : float
        Of :func:`scale_of`.
    may_differ : str
        What is known to differ between the trials.

    Examples
    --------
    >>> published = Result(16, 0.63, 0.36, 0.90)
    >>> judge(published, Result(16, 0.64, 0.36, 0.91), 1.0, "").word
    'reproduced'
    >>> str(judge(published, Result(15, 0.608, 0.347, 0.868), 1.0, "The list is not available."))
    'near: the recomputed number is 0.02 SD lower, from 15 trials against 16. The list is not available.'
    """
    off = abs(ours.estimate - published.estimate)
    limits = [
        abs(a - b) for a, b in ((ours.ci_low, published.ci_low), (ours.ci_high, published.ci_high)) if not math.isnan(b)
    ]
    same_k = math.isnan(published.k) or ours.k == published.k
    printed_enough = bool(limits) or not math.isnan(published.k)
    if printed_enough and same_k and max([off, *limits]) <= REPRODUCED_G * scale:
        return Verdict("reproduced", "")
    inside = math.isnan(published.ci_low) or published.ci_low <= ours.estimate <= published.ci_high
    side = "higher" if ours.estimate > published.estimate else "lower"
    where = "" if inside else " and outside the published interval"
    said = f"the recomputed number is {off / scale:.2f} SD {side}{where}, {_trials(published, ours, bool(limits))}"
    word: Word = "near" if off <= NEAR_G * scale and inside else "different"
    return Verdict(word, " ".join(filter(None, (said, may_differ))))


def _trials(published: Result, ours: Result, interval: bool) -> str:
    """Return how many trials stand on either side, and what is not printed."""
    trials = f"from {ours.k:.0f} trial{'' if ours.k == 1 else 's'}"
    if ours.k == published.k == 1:
        return "from the same trial."
    if ours.k == published.k:
        return f"{trials} as published, which need not be the same."
    if not math.isnan(published.k):
        return f"{trials} against {published.k:.0f}."
    missing = "the published number of trials is" if interval else "the published number of trials and interval are"
    return f"{trials}; {missing} not printed."
