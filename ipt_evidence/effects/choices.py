"""The options of this room and the rules for combining them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose

Measure = Literal[
    "SMD",
    "D",
    "SMDH",
    "SMD1",
    "MD",
    "ROM",
    "CVR",
    "VR",
    "MC",
    "SMCC",
    "SMCR",
    "SMCRH",
    "ROMC",
    "OR",
    "RR",
    "RD",
    "AS",
    "PETO",
    "OR2DL",
    "OR2DN",
    "PBIT",
    "PHI",
    "YUQ",
    "YUY",
    "HR",
    "IRR",
]
VarianceType = Literal["LS", "LS2", "UB", "AV", "H0"]
Correction = Literal["exact", "approximate", "none"]
Convention = Literal["metapsy", "cma"]
ZeroCells = Literal["only0", "all", "if0all", "none"]
Prefer = Literal["raw", "reported"]
Scale = Literal["SMD", "logOR", "logRR", "RD", "r", "z"]
OddsRatioMethod = Literal["logistic", "cox-snell"]
NntMethod = Literal["furukawa", "kraemer"]

PRE_POST = frozenset({"MC", "SMCC", "SMCR", "SMCRH", "ROMC"})
BINARY = frozenset({"OR", "RR", "RD", "AS", "PETO", "OR2DL", "OR2DN", "PBIT", "PHI", "YUQ", "YUY"})
USES_EVENTS = BINARY | {"SMD", "D"}
VARIABILITY = frozenset({"CVR", "VR"})
PRINTED_AS = {
    "SMD": ("SMD", "D"),
    "D": ("D", "SMD"),
    "MD": ("MD",),
    "ROM": ("ROM",),
    "OR": ("OR",),
    "RR": ("RR",),
    "RD": ("RD",),
    "PETO": ("PETO",),
    "HR": ("HR",),
    "IRR": ("IRR",),
}
DEFAULT_COR = 0.5
DEFAULT_ADD = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of :func:`~ipt_evidence.effects.compute.effect_sizes`, checked; see there."""

    measure: Measure = "SMD"
    variance: VarianceType = "LS"
    convention: Convention | None = None
    cor: float | str = DEFAULT_COR
    zero_cells: ZeroCells = "only0"
    add: float = DEFAULT_ADD
    prefer: Prefer = "raw"
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse values that are not choices and combinations in which an option would not act."""
        choose("measure", self.measure, Measure)
        choose("variance", self.variance, VarianceType)
        if self.convention is not None:
            choose("convention", self.convention, Convention)
        choose("zero_cells", self.zero_cells, ZeroCells)
        choose("prefer", self.prefer, Prefer)
        _check_numbers(self)
        _check_combinations(self)


def _check_numbers(settings: Settings) -> None:
    if not 0 < settings.level < 1:
        raise OptionError(f"level must lie between 0 and 1, such as 0.95; received {settings.level!r}")
    if not (math.isfinite(settings.add) and settings.add > 0):
        raise OptionError(f"add must be a number above 0, such as 0.5; received {settings.add!r}")
    if not isinstance(settings.cor, str) and not -1 < settings.cor < 1:
        raise OptionError(f"cor must lie between -1 and 1, or name a column; received {settings.cor!r}")


def _check_combinations(settings: Settings) -> None:
    s, problems = settings, []
    if s.convention is not None and s.measure != "SMD":
        problems.append(f"convention={s.convention!r} acts on measure='SMD' only, not on {s.measure!r}")
    if s.convention is not None and s.variance != "LS":
        problems.append(
            f"convention={s.convention!r} fixes the variance: leave out variance={s.variance!r} or the convention"
        )
    if s.variance != "LS" and s.measure not in ("SMD", "D"):
        problems.append(f"variance={s.variance!r} acts on measure='SMD' (and 'AV', 'H0' on 'D'), not on {s.measure!r}")
    if s.variance in ("LS2", "UB") and s.measure == "D":
        problems.append(f"variance={s.variance!r} belongs to the corrected SMD; measure='D' has 'LS', 'AV' and 'H0'")
    if s.cor != DEFAULT_COR and s.measure not in PRE_POST:
        problems.append(f"cor acts on {', '.join(sorted(PRE_POST))} only, not on {s.measure!r}")
    if (s.zero_cells != "only0" or s.add != DEFAULT_ADD) and s.measure not in USES_EVENTS:
        problems.append(f"zero_cells and add act on measures that use events only, not on {s.measure!r}")
    if s.zero_cells == "none" and s.add != DEFAULT_ADD:
        problems.append(f"zero_cells='none' adds nothing, so add={s.add!r} would not act")
    if s.prefer == "reported" and s.measure not in PRINTED_AS:
        problems.append(f"prefer='reported' acts on {', '.join(PRINTED_AS)}; no source prints {s.measure!r}")
    if problems:
        raise OptionError("; ".join(problems))
