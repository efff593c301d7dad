"""Round trips between scales, slopes against differences, printed numbers needed to treat."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.effects.convert import convert, nnt, to_points
from ipt_evidence.errors import OptionError

FAST = settings(derandomize=True, deadline=None, max_examples=50)
# A chain of at most six elementary functions there and back.
ROUND_TRIP = 1e-9
# Central differences with a step of 1e-6 have about nine good digits.
DIFFERENCES = 1e-6
SCALES = ("SMD", "logOR", "logRR", "RD", "r", "z")


def options(from_: str, to: str) -> dict[str, float]:
    scales = {from_, to}
    rate = {"control_event_rate": 0.35} if scales & {"logRR", "RD"} else {}
    crosses = bool(scales & {"r", "z"}) and scales != {"r", "z"}
    return rate | ({"n_1": 40, "n_2": 25} if crosses else {})


@pytest.mark.parametrize(("from_", "to"), list(permutations(SCALES, 2)))
@given(smd=st.floats(-1, 1), std_error=st.floats(0.01, 1))
@FAST
def test_round_trip(from_: str, to: str, smd: float, std_error: float) -> None:
    start = convert(smd, std_error, from_="SMD", to=from_, **options("SMD", from_)) if from_ != "SMD" else None
    value, error = (start.value, start.std_error) if start else (smd, std_error)
    there = convert(value, error, from_=from_, to=to, **options(from_, to))
    back, back_error = convert(there.value, there.std_error, from_=to, to=from_, **options(from_, to))
    assert back == pytest.approx(value, rel=ROUND_TRIP, abs=ROUND_TRIP)
    assert back_error == pytest.approx(error, rel=1e-7)


@pytest.mark.parametrize(("from_", "to"), list(permutations(SCALES, 2)))
def test_standard_error_is_the_slope(from_: str, to: str) -> None:
    x = {"SMD": 0.4, "logOR": 0.7, "logRR": 0.3, "RD": 0.12, "r": 0.2, "z": 0.25}[from_]
    step = 1e-6
    high, low = (convert(x + h, from_=from_, to=to, **options(from_, to)).value for h in (step, -step))
    slope = convert(x, 1.0, from_=from_, to=to, **options(from_, to)).std_error
    assert slope == pytest.approx((high - low) / (2 * step), rel=DIFFERENCES)


def test_known_values() -> None:
    assert convert(1.0, 0.5).value == pytest.approx(np.sqrt(3) / np.pi)
    assert convert(1.0, from_="logOR", to="SMD", method="cox-snell").value == pytest.approx(1 / 1.65)
    assert convert(0.5, from_="SMD", to="r").value == pytest.approx(0.5 / np.sqrt(4.25))
    risk_ratio = convert(np.log(3), from_="logOR", to="logRR", control_event_rate=0.25)
    assert np.exp(risk_ratio.value) == pytest.approx(2.0)
    assert convert(0.3, 0.1, from_="z", to="z").route == "unchanged"


def test_arrays_stay_arrays_and_missing_stays_missing() -> None:
    found = convert(np.array([0.1, np.nan]), np.array([0.2, 0.2]))
    assert np.isnan(found.value).tolist() == [False, True]
    assert np.isnan(convert(0.2).std_error)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"from_": "OR"}, "from_ must be one of"),
        ({"to": "logRR"}, "control_event_rate is needed"),
        ({"control_event_rate": 0.2}, "acts on logRR and RD only"),
        ({"to": "logRR", "control_event_rate": 1.2}, "between 0 and 1"),
        ({"n_1": 20, "n_2": 20}, "act between SMD and r only"),
        ({"to": "r", "n_1": 20}, "go together"),
        ({"to": "r", "n_1": 20, "n_2": 0}, "above 0"),
        ({"from_": "r", "to": "z", "method": "cox-snell"}, "between SMD and logOR only"),
        ({"std_error": -1.0}, "must not be negative"),
    ],
)
def test_options_that_would_not_act_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        convert(0.2, **arguments)


@pytest.mark.parametrize(
    ("value", "from_", "to", "rate"), [(1.0, "r", "z", None), (2.0, "logRR", "logOR", 0.4), (-0.6, "RD", "SMD", 0.4)]
)
def test_a_value_without_counterpart_is_refused(value: float, from_: str, to: str, rate: float | None) -> None:
    with pytest.raises(OptionError, match="no counterpart"):
        convert([0.1, value], from_=from_, to=to, control_event_rate=rate)


@pytest.mark.parametrize(("d", "printed"), [(0.63, 2.91), (0.04, 45.45), (-0.19, 9.43)])
def test_kraemer_as_printed_in_2011(d: float, printed: float) -> None:
    assert round(nnt(d, method="kraemer"), 2) == printed


@pytest.mark.parametrize(("d", "rounded"), [(0.63, 2.91), (0.04, 44.32), (-0.19, 9.36)])
def test_kraemer_without_rounding(d: float, rounded: float) -> None:
    assert round(nnt(d, method="kraemer", auc_decimals=None), 2) == rounded


@pytest.mark.parametrize(("g", "printed"), [(0.75, 3.86), (0.98, 2.85), (0.60, 4.99), (0.55, 5.51)])
def test_furukawa_as_printed_from_2016(g: float, printed: float) -> None:
    assert round(nnt(g, control_event_rate=0.19), 2) == printed


def test_nnt_of_no_effect_is_infinite_and_arrays_stay_arrays() -> None:
    assert nnt(0.0) == np.inf
    assert nnt(0.0001, method="kraemer") == np.inf
    assert np.asarray(nnt([0.5, np.nan])).shape == (2,)


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "cohen"},
        {"method": "kraemer", "control_event_rate": 0.3},
        {"auc_decimals": None},
        {"control_event_rate": 0.0},
    ],
)
def test_nnt_refuses(arguments: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        nnt(0.5, **arguments)


def test_points_of_an_instrument() -> None:
    points = to_points(0.5, 0.1, sd=[7.0, 10.0], instrument="BDI")
    assert np.asarray(points.value).tolist() == [3.5, 5.0]
    with pytest.raises(OptionError, match="sd must be above 0"):
        to_points(0.5, sd=0)
