"""The options of pooling: presets, and how what was given is resolved into one :class:`PoolMethod`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict, cast

from ipt_evidence.errors import OptionError
from ipt_evidence.options import (
    Aggregation,
    CiMethod,
    Dependence,
    I2Method,
    PredictionDf,
    PredictionSe,
    Preset,
    Tau2CiMethod,
    Tau2Method,
    check_level,
    check_rho,
    choose,
)
from ipt_evidence.pooling.result import PoolMethod

try:
    SOFTWARE = f"ipt_evidence {version('ipt-evidence')}"
except PackageNotFoundError:
    SOFTWARE = "ipt_evidence (not installed)"

COCHRANE = PoolMethod(software=SOFTWARE)
PRESETS: dict[Preset, PoolMethod] = {
    "cochrane": COCHRANE,
    "metafor": replace(COCHRANE, preset="metafor", ci_method="wald", prediction_df="as-ci", dependence="independent"),
    "meta": replace(
        COCHRANE, preset="meta", ci_method="wald", prediction_se="wald", i2_method="q", dependence="independent"
    ),
    "metapsy": replace(COCHRANE, preset="metapsy", prediction_se="wald", i2_method="q"),
    "cma": replace(
        COCHRANE,
        preset="cma",
        tau2_method="DL",
        ci_method="wald",
        prediction_df="k-2",
        prediction_se="wald",
        i2_method="q",
        aggregation="mean",
        rho=1.0,
    ),
}
CHOICES = {
    "tau2_method": Tau2Method,
    "ci_method": CiMethod,
    "prediction_df": PredictionDf,
    "prediction_se": PredictionSe,
    "tau2_ci_method": Tau2CiMethod,
    "i2_method": I2Method,
    "dependence": Dependence,
    "aggregation": Aggregation,
}


class PoolOptions(TypedDict, total=False):
    """The options of :func:`pool`, for functions that pass them on."""

    tau2_method: Tau2Method | None
    ci_method: CiMethod | None
    prediction_df: PredictionDf | None
    prediction_se: PredictionSe | None
    tau2_ci_method: Tau2CiMethod | None
    i2_method: I2Method | None
    level: float | None
    dependence: Dependence | None
    rho: float | None
    aggregation: Aggregation | None
    preset: Preset | None


def resolve_method(options: PoolOptions) -> PoolMethod:
    """Return the settings: the preset's, replaced by whatever was given.

    Raises
    ------
    OptionError
        A value is not among its choices, or an option is unknown.
    """
    try:
        return _resolved(tuple(options.items()))
    except TypeError:  # a value that cannot be looked up, such as an array, is refused by its name
        return _resolve(options)


@lru_cache(maxsize=256)
def _resolved(items: tuple[tuple[str, object], ...]) -> PoolMethod:
    """Return the settings of options seen before; nearly all calls of a session use the same few."""
    return _resolve(cast("PoolOptions", dict(items)))


def _resolve(options: PoolOptions) -> PoolMethod:
    known = {f.name for f in fields(PoolMethod)} - {"software"}
    unknown = set(options) - known
    if unknown:
        raise OptionError(f"unknown option {', '.join(sorted(unknown))}; the options are {', '.join(sorted(known))}")
    preset = options.get("preset")
    base = PRESETS[choose("preset", "cochrane" if preset is None else preset, Preset)]
    given = {name: value for name, value in options.items() if value is not None and name != "preset"}
    for name, value in given.items():
        if name in CHOICES:
            choose(name, value, CHOICES[name])
    method = replace(base, **given)  # type: ignore[arg-type]
    method = _consistent(method, given)
    return replace(method, level=check_level(method.level), rho=check_rho(method.rho))


def with_dependence(options: PoolOptions) -> PoolOptions:
    """Return the options with `dependence` said (that of the preset where it is not given).

    For the package's own analyses, which combine the comparisons of a trial on purpose: pooling then warns of none.
    """
    return {**options, "dependence": resolve_method(options).dependence}


NEEDS = {"henmi-copas": "DL", "kr": "REML"}
ROBUST = ("cr0", "cr1", "cr2")


def _consistent(method: PoolMethod, given: Mapping[str, object]) -> PoolMethod:
    """Return the method with what one option implies for another; refuse what contradicts."""
    several = method.dependence in ("three_level", "che")
    if several and "ci_method" not in given:
        method = replace(method, ci_method="cr2")
    if not several and method.ci_method in ROBUST:
        raise OptionError(
            f"ci_method={method.ci_method!r} is robust to dependence within trials: it goes with "
            "dependence='three_level' or 'che'"
        )
    needed = NEEDS.get(method.ci_method)
    if needed is not None and method.tau2_method != needed:
        if "tau2_method" in given:
            raise OptionError(f"ci_method={method.ci_method!r} is defined for tau2_method={needed!r} only")
        method = replace(method, tau2_method=cast("Tau2Method", needed))
    if method.tau2_ci_method == "profile" and method.tau2_method not in ("REML", "ML"):
        raise OptionError("tau2_ci_method='profile' needs the likelihood of tau2_method='REML' or 'ML'")
    return method
