"""Every choice a user can make, in one place, and the one validator that lists the choices when a value is not one."""

from __future__ import annotations

from typing import Any, Literal, get_args

from ipt_evidence.errors import OptionError

Tau2Method = Literal["EE", "DL", "HE", "HS", "HSk", "SJ", "SJIT", "ML", "REML", "EB", "PM", "PMM", "DLIT"]
CiMethod = Literal["wald", "t", "hksj", "hksj-adhoc", "kr", "henmi-copas", "cr0", "cr1", "cr2"]
PredictionDf = Literal["k-1", "k-2", "z", "as-ci"]
PredictionSe = Literal["ci", "wald"]
Tau2CiMethod = Literal["qprofile", "profile", "jackson", "biggerstaff-jackson", "none"]
I2Method = Literal["tau2", "q"]
Dependence = Literal["aggregate", "independent", "three_level", "che"]
Aggregation = Literal["weighted", "mean"]
Preset = Literal["cochrane", "metafor", "meta", "metapsy", "cma"]


def choose(name: str, value: object, choices: Any) -> Any:
    """Return `value` when it is one of `choices`, else raise an error that lists them.

    Parameters
    ----------
    name : str
        Parameter name, quoted in the message.
    value : object
        The value received.
    choices : typing.Literal
        One of the aliases of this module.

    Raises
    ------
    OptionError
        The value is not among the choices.

    Examples
    --------
    >>> choose("tau2_method", "REML", Tau2Method)
    'REML'
    """
    allowed = get_args(choices)
    if isinstance(value, str) and value in allowed:
        return value
    hint = next((c for c in allowed if str(c).lower() == str(value).lower()), None)
    listed = ", ".join(repr(c) for c in allowed)
    meant = f" Did you mean {hint!r}?" if hint is not None else ""
    raise OptionError(f"{name} must be one of {listed}; received {value!r}.{meant}")


def check_level(level: float) -> float:
    """Return `level` when it is a confidence level strictly between 0 and 1.

    Raises
    ------
    OptionError
        It is not; 95 instead of 0.95 is the usual reason.
    """
    if not _is_number(level) or not 0 < level < 1:
        raise OptionError(f"level must lie between 0 and 1, such as 0.95; received {level!r}")
    return float(level)


def check_rho(rho: float) -> float:
    """Return `rho` when it is a correlation between 0 and 1.

    Raises
    ------
    OptionError
        It is not.
    """
    if not _is_number(rho) or not 0 <= rho <= 1:
        raise OptionError(f"rho must be a correlation between 0 and 1; received {rho!r}")
    return float(rho)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) or (hasattr(value, "__float__") and getattr(value, "ndim", 1) == 0)
