"""GRIM and GRIMMER against enumeration of all possible scores."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.studies.grim import grim, grimmer


def all_rounded(n: int) -> set[tuple[float, float]]:
    """Return every mean from 0 to 2 and SD up to 2, rounded, of n whole scores; no score can be beyond -4 and 6."""
    found = set()
    for scores in combinations_with_replacement(range(-4, 7), n):
        mean, square = sum(scores) / n, sum(x * x for x in scores)
        if 0 <= mean <= 2:
            found.add((round(mean, 2), round(math.sqrt(max(square - n * mean**2, 0) / (n - 1)), 2)))
    return {(mean, sd) for mean, sd in found if sd <= 2}


@pytest.mark.parametrize(("n", "more"), [(3, 7), (4, 2), (5, 0)])
def test_against_enumeration(n, more):
    """GRIM is exact; GRIMMER passes also the few sums that no n numbers have, such as 0 with squares of 4 for three."""
    possible = all_rounded(n)
    hundredths = [i / 100 for i in range(201)]
    kept = [mean for mean in hundredths if grim(mean, n, decimals=2)]
    assert set(kept) == {mean for mean, _ in possible}
    grid = np.array([(mean, sd) for mean in kept for sd in hundredths])
    good = grimmer(grid[:, 0], grid[:, 1], n, decimals=2, sd_decimals=2)
    said = set(map(tuple, grid[good].tolist()))
    assert possible <= said, "a possible pair is never accused"
    assert len(said - possible) == more


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    scores=st.lists(st.integers(0, 60), min_size=2, max_size=60),
    places=st.integers(0, 3),
    sd_places=st.integers(0, 3),
)
def test_real_scores_are_never_accused(scores, places, sd_places):
    mean, sd = round(float(np.mean(scores)), places), round(float(np.std(scores, ddof=1)), sd_places)
    assert grim(mean, len(scores), decimals=places)
    assert grimmer(mean, sd, len(scores), decimals=places, sd_decimals=sd_places)


def test_published_examples():
    """5.19 of 28 persons: Brown & Heathers 2017."""
    assert not grim(5.19, 28, decimals=2)
    assert not grim(5.27, 43, decimals=2)
    assert grim(5.28, 43, decimals=2)


def test_missing_numbers_and_no_power_pass():
    assert grim([np.nan, 5.19, 5.19], [20, np.nan, 100], decimals=2).all()
    assert grimmer([np.nan, 5.5], [1.0, np.nan], 10, decimals=1, sd_decimals=1).all()
    assert grimmer(5.5, 0.01, 1, decimals=1, sd_decimals=2)
    assert grimmer(5.55, 4.44, 900, decimals=2, sd_decimals=2)


def test_an_impossible_sd():
    assert not grimmer(2.5, 0.0, 4, decimals=1, sd_decimals=1)
    assert grimmer(2.5, 0.6, 4, decimals=1, sd_decimals=1)
