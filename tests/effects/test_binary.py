"""Laws of the event formulas, and tables with empty cells against metafor 3.8."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.effects import binary
from ipt_evidence.effects.binary import FORMULAS, cells, compare_events
from ipt_evidence.errors import OptionError

FAST = settings(derandomize=True, deadline=None, max_examples=60)
# Closed forms in double precision; the reference has 15 digits.
CLOSED_FORM = 1e-10
EDGE = json.loads((Path(__file__).parent / "binary_edge_metafor38.json").read_text())
COUNTS = dict(zip(("events_1", "total_1", "events_2", "total_2"), EDGE["input"].values(), strict=True))


@pytest.mark.parametrize("name", [name for name in EDGE if "_" in name])
def test_empty_and_full_arms_agree_with_metafor(name: str) -> None:
    measure, rule = name.split("_")
    found = compare_events(cells(**COUNTS, zero_cells=rule), measure=measure)
    np.testing.assert_allclose(found.effect, np.array(EDGE[name]["yi"], float), rtol=CLOSED_FORM, atol=1e-14)
    np.testing.assert_allclose(found.variance, np.array(EDGE[name]["vi"], float), rtol=CLOSED_FORM, atol=1e-14)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, int]:
    n1, n2 = draw(st.integers(2, 300)), draw(st.integers(2, 300))
    return {
        "events_1": draw(st.integers(0, n1)),
        "total_1": n1,
        "events_2": draw(st.integers(0, n2)),
        "total_2": n2,
    }


@given(tables())
@FAST
def test_swapping_arms_turns_the_sign_and_keeps_the_variance(table: dict[str, int]) -> None:
    other = {f"{name[:-1]}{3 - int(name[-1])}": value for name, value in table.items()}
    for measure in FORMULAS:
        one, two = compare_events(cells(**table), measure=measure), compare_events(cells(**other), measure=measure)
        np.testing.assert_allclose(one.effect, -two.effect, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(one.variance, two.variance, rtol=1e-9)
        assert one.variance > 0


@given(tables())
@FAST
def test_counting_non_events_turns_the_sign_of_odds_ratios(table: dict[str, int]) -> None:
    turned = table | {f"events_{arm}": table[f"total_{arm}"] - table[f"events_{arm}"] for arm in (1, 2)}
    for measure in ("OR", "RD", "PETO", "AS", "PHI", "YUQ", "PBIT"):
        one, two = compare_events(cells(**table), measure=measure), compare_events(cells(**turned), measure=measure)
        np.testing.assert_allclose(one.effect, -two.effect, rtol=1e-8, atol=1e-10)


def test_rules_add_where_they_say() -> None:
    counts = {"events_1": [0, 5], "total_1": 10, "events_2": 3, "total_2": 10}
    added = {rule: cells(**counts, zero_cells=rule).added.tolist() for rule in ("only0", "all", "if0all", "none")}
    assert added == {"only0": [True, False], "all": [True, True], "if0all": [True, True], "none": [False, False]}
    assert cells(**counts, add=0.1).a.tolist() == [0.1, 5.0]


def test_unknown_measure_and_rule_are_refused() -> None:
    with pytest.raises(OptionError, match="zero_cells must be one of"):
        cells(events_1=1, total_1=2, events_2=1, total_2=2, zero_cells="some")
    with pytest.raises(OptionError, match="measure must be one of"):
        compare_events(cells(events_1=1, total_1=2, events_2=1, total_2=2), measure="NNT")


def test_constants() -> None:
    assert pytest.approx(0.5513288954217921, rel=1e-15) == binary.LOGISTIC
