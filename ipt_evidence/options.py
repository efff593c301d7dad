"""Every choice a user can make, in one place, and the one validator that lists the choices when a value is not one."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar, get_args

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
Function = TypeVar("Function", bound=Callable[..., Any])


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
    hint = did_you_mean(value, allowed)
    listed = ", ".join(repr(c) for c in allowed)
    raise OptionError(f"{name} must be one of {listed}; received {value!r}.{hint}")


def did_you_mean(value: object, allowed: Iterable[Any]) -> str:
    """Return a question that names the choice a value is a slip of, with a blank before it; empty when there is none.

    Examples
    --------
    >>> did_you_mean("reml", ["DL", "REML"]), did_you_mean("overal", ["overall", "che"]), did_you_mean("x", ["che"])
    (" Did you mean 'REML'?", " Did you mean 'overall'?", '')
    """
    folded = {str(choice).lower(): choice for choice in allowed}
    near = difflib.get_close_matches(str(value).lower(), folded, n=1, cutoff=0.7)
    return f" Did you mean {folded[near[0]]!r}?" if near else ""


def names_options(options: Any, *, defaults: object = None) -> Callable[[Function], Function]:
    """Write the names of ``**options`` into the signature that help, notebooks and completion show.

    Parameters
    ----------
    options : TypedDict
        What the decorated function takes as ``**options: Unpack[...]``; type checkers read that, people this.
    defaults : object, optional
        Something with the defaults as attributes; what it does not have is ``None``.

    Examples
    --------
    >>> from typing import TypedDict, Unpack
    >>> class Size(TypedDict, total=False):
    ...     width: float
    ...     height: float
    >>> @names_options(Size)
    ... def draw(shape, **options: Unpack[Size]): ...
    >>> import inspect
    >>> str(inspect.signature(draw))
    "(shape, *, width: 'float' = None, height: 'float' = None)"
    """

    def name_them(function: Function) -> Function:
        plain = inspect.signature(function)
        kept = [p for p in plain.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        named = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=getattr(defaults, name, None),
                annotation=getattr(hint, "__forward_arg__", hint),
            )
            for name, hint in options.__annotations__.items()
        ]
        function.__signature__ = plain.replace(parameters=[*kept, *named])  # type: ignore[attr-defined]
        return function

    return name_them


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
