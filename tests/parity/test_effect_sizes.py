"""Every block of effect_sizes.json (metafor 5.1-12, escalc), by the formulas and through the front door."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.effects import binary, continuous, other, prepost
from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.effects.estimates import Estimates
from ipt_evidence.errors import OptionError

# Closed forms in double precision; the reference has 15 digits. UB loses some in R's log-gamma at 271 df (8e-12).
CLOSED_FORM = 1e-10
REFERENCE = json.loads((Path(__file__).parent / "effect_sizes.json").read_text())
BLOCKS = {
    (group, name): block for group in ("continuous", "binary", "other") for name, block in REFERENCE[group].items()
}
WITHOUT_NUMBERS = {("continuous", "CLES"), ("continuous", "SMD_HO")}
RAW = {name: np.array(values, dtype=float) for name, values in REFERENCE["continuous_input"].items()}
TWO = {"mean_1": RAW["m1"], "sd_1": RAW["sd1"], "n_1": RAW["n1"], "mean_2": RAW["m2"], "sd_2": RAW["sd2"]} | {
    "n_2": RAW["n2"]
}
ONE = {"mean_1": RAW["m1"], "sd_1": RAW["sd1"], "mean_2": RAW["m2"], "sd_2": RAW["sd2"], "n": RAW["n1"]} | {
    "cor": RAW["r"]
}
TESTS = REFERENCE["t_input"]
COUNTS = dict(zip(("events_1", "total_1", "events_2", "total_2"), REFERENCE["binary_input"].values(), strict=True))
CORRELATIONS = {"r": [0.1, 0.5, -0.3], "n": [20, 50, 103]}
PROPORTIONS = {"events": [3, 0, 20], "total": [20, 14, 40]}
RATES = {"events_1": [3, 10, 0], "time_1": [100, 220.5, 50], "events_2": [7, 9, 2], "time_2": [98, 230, 60]}


def without(values: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    return {name: value for name, value in values.items() if name not in names}


def formula(group: str, name: str) -> Estimates:
    if group == "binary":
        measure, rule = name.split("_")
        return binary.compare_events(binary.cells(**COUNTS, zero_cells=rule), measure=measure)
    if group == "other":
        if name in ("ZCOR", "COR", "UCOR"):
            return other.correlation(CORRELATIONS["r"], n=CORRELATIONS["n"], measure=name)
        if name == "IRR":
            return other.incidence(**RATES)
        return other.proportion(PROPORTIONS["events"], total=PROPORTIONS["total"], measure=name)
    sizes = {"n_1": TESTS["n1"], "n_2": TESTS["n2"]}
    special = {
        "SMD1": lambda: continuous.smd1(**without(TWO, "sd_1")),
        "VR": lambda: continuous.vr(**without(TWO, "mean_1", "mean_2")),
        "SMCR": lambda: prepost.smcr(**without(ONE, "sd_2")),
        "SMD_cohen_d_uncorrected": lambda: continuous.smd(**TWO, correction="none"),
        "SMD_from_t": lambda: other.smd_from_t(TESTS["t"], **sizes),
        "SMD_from_p": lambda: other.smd_from_p(np.array(TESTS["p"]) * [1, -1, 1], **sizes),
        "SMD_from_d": lambda: continuous.smd_from_d(TESTS["d"], **sizes),
    }
    if name in special:
        return special[name]()
    if name.startswith("SMD_"):
        return continuous.smd(**TWO, variance=name[4:])
    if hasattr(prepost, name.lower()):
        return getattr(prepost, name.lower())(**ONE)
    return getattr(continuous, name.lower())(**TWO)


def assert_agrees(effect: object, variance: object, block: dict[str, list[float | None]]) -> None:
    for got, key in ((effect, "yi"), (variance, "vi")):
        np.testing.assert_allclose(
            np.asarray(got, float), np.array(block[key], dtype=float), rtol=CLOSED_FORM, atol=1e-14, err_msg=key
        )


@pytest.mark.parametrize(("group", "name"), sorted(BLOCKS.keys() - WITHOUT_NUMBERS))
def test_formula_agrees_with_metafor(group: str, name: str) -> None:
    found = formula(group, name)
    assert_agrees(found.effect, found.variance, BLOCKS[group, name])


TABLE = pd.DataFrame({name: values for name, values in TWO.items()}).assign(lower_is_better=0)
EVENT_TABLE = pd.DataFrame(COUNTS).assign(lower_is_better=0)
FROM_TABLE = ("MD", "SMD", "SMDH", "SMD1", "VR", "SMD_LS", "SMD_LS2", "SMD_UB", "SMD_AV")


@pytest.mark.parametrize("name", FROM_TABLE)
def test_front_door_agrees_on_means(name: str) -> None:
    measure, _, variance = name.partition("_")
    effects = effect_sizes(TABLE, measure=measure, variance=variance or "LS")
    assert_agrees(effects["effect"], effects["variance"], BLOCKS["continuous", name])


def test_front_door_agrees_on_cohen_d() -> None:
    effects = effect_sizes(TABLE, measure="D")
    assert_agrees(effects["effect"], effects["variance"], BLOCKS["continuous", "SMD_cohen_d_uncorrected"])


@pytest.mark.parametrize("measure", ["ROM", "CVR"])
def test_front_door_agrees_on_ratios_of_positive_means(measure: str) -> None:
    effects = effect_sizes(TABLE, measure=measure)
    block = {key: values[:4] for key, values in BLOCKS["continuous", measure].items()}
    assert_agrees(effects["effect"][:4], effects["variance"][:4], block)
    assert "needs means above 0" in effects["why_not"][4]


@pytest.mark.parametrize("measure", ["MC", "SMCC", "SMCR", "SMCRH", "ROMC"])
def test_front_door_agrees_on_one_group_measured_twice(measure: str) -> None:
    frame = TABLE.drop(columns="n_2").assign(r=RAW["r"])
    effects = effect_sizes(frame, measure=measure, cor="r")
    last = 4 if measure == "ROMC" else 5
    block = {key: values[:last] for key, values in BLOCKS["continuous", measure].items()}
    assert_agrees(effects["effect"][:last], effects["variance"][:last], block)
    assert (effects["route"][:last] != "").all()


@pytest.mark.parametrize("name", sorted(REFERENCE["binary"]))
def test_front_door_agrees_on_events(name: str) -> None:
    measure, rule = name.split("_")
    effects = effect_sizes(EVENT_TABLE, measure=measure, zero_cells=rule)
    assert_agrees(effects["effect"], effects["variance"], BLOCKS["binary", name])


@pytest.mark.parametrize("rule", ["only0", "all", "none"])
def test_smd_from_events_is_or2dl(rule: str) -> None:
    effects = effect_sizes(EVENT_TABLE, zero_cells=rule)
    assert_agrees(effects["effect"], effects["variance"], BLOCKS["binary", f"OR2DL_{rule}"])


@pytest.mark.parametrize("kind", ["t", "p", "d"])
def test_front_door_agrees_on_test_statistics(kind: str) -> None:
    frame = pd.DataFrame({"effect_measure": kind, "effect": TESTS[kind], "n_1": TESTS["n1"], "n_2": TESTS["n2"]})
    effects = effect_sizes(frame.assign(favours_ipt_sign=[1, -1, 1] if kind == "p" else 1))
    assert_agrees(effects["effect"], effects["variance"], BLOCKS["continuous", f"SMD_from_{kind}"])


def test_variance_type_that_r_refuses_is_refused_with_the_choices() -> None:
    assert "error" in BLOCKS["continuous", "SMD_HO"]
    with pytest.raises(OptionError, match=r"variance must be one of 'LS', 'LS2', 'UB', 'AV', 'H0'; received 'HO'"):
        continuous.smd(**TWO, variance="HO")


def test_cles_which_r_has_from_ranks_only_is_the_binormal_probability() -> None:
    assert "error" in BLOCKS["continuous", "CLES"]
    found = continuous.cles(**TWO)
    assert ((found.effect > 0.5) == (RAW["m1"] > RAW["m2"])).all()
    assert (found.variance > 0).all()


def test_the_grid_does_not_shrink() -> None:
    assert len(BLOCKS) - len(WITHOUT_NUMBERS) == 61
