"""Published score ranges of instruments, as far as they are certain.

An entry without a version (HAM-D, GDS, CAPS, PCL) holds the widest of its versions. Instruments whose abbreviation
stands for different scales (SDS: Zung or Sheehan; PDSS: panic or postpartum) are left out rather than guessed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ipt_evidence.studies.arms_keys import words_key


@dataclass(frozen=True, slots=True)
class Scale:
    """Range of the total score of an instrument.

    Attributes
    ----------
    name : str
        Instrument, and its version where the range depends on it.
    low, high : float
        Lowest and highest score possible.
    whole : bool
        Whether every person's score is a whole number (a sum of whole items); needed for GRIM.
    source : str
        Where the range comes from.
    names : tuple of str
        How data sets call it: lower case, without punctuation and blanks.
    """

    name: str
    low: float
    high: float
    whole: bool
    source: str
    names: tuple[str, ...]


HAMILTON = "Hamilton 1960, doi:10.1136/jnnp.23.1.56"
BECK = "Beck et al. 1961, doi:10.1001/archpsyc.1961.01710120031004; BDI-II manual 1996"
HADS = "Zigmond & Snaith 1983, doi:10.1111/j.1600-0447.1983.tb09716.x"
SCALES = (
    Scale("HAM-D-17", 0, 52, True, HAMILTON, ("hamd17", "hdrs17", "hrsd17", "ham17")),
    Scale(
        "HAM-D (widest version)",
        0,
        76,
        True,
        f"{HAMILTON}; extended versions of 21 to 25 items",
        ("hamd", "hdrs", "hrsd", "hamd21", "hdrs21", "hrsd21", "hamd24", "hdrs24", "hrsd24", "hamd25", "hrsd25"),
    ),
    Scale("BDI, BDI-II", 0, 63, True, BECK, ("bdi", "bdi1", "bdii", "bdiii", "bdi2", "bdia", "bdi1a", "bdi21")),
    Scale("EPDS", 0, 30, True, "Cox et al. 1987, doi:10.1192/bjp.150.6.782", ("epds",)),
    Scale("PHQ-9", 0, 27, True, "Kroenke et al. 2001, doi:10.1046/j.1525-1497.2001.016009606.x", ("phq9",)),
    Scale("PHQ-8", 0, 24, True, "Kroenke et al. 2009, doi:10.1016/j.jad.2008.06.026", ("phq8",)),
    Scale("CES-D", 0, 60, True, "Radloff 1977, doi:10.1177/014662167700100306", ("cesd", "cesd20")),
    Scale("MADRS", 0, 60, True, "Montgomery & Åsberg 1979, doi:10.1192/bjp.134.4.382", ("madrs",)),
    Scale("MADRS-S", 0, 54, False, "Svanborg & Åsberg 1994, doi:10.1111/j.1600-0447.1994.tb01480.x", ("madrss",)),
    Scale("GDS-15", 0, 15, True, "Sheikh & Yesavage 1986, doi:10.1300/J018v05n01_09", ("gds15",)),
    Scale("GDS", 0, 30, True, "Yesavage et al. 1982, doi:10.1016/0022-3956(82)90033-4", ("gds", "gds30")),
    Scale("CDI", 0, 54, True, "Kovacs 1985, Psychopharmacol Bull 21:995-998", ("cdi",)),
    Scale("CDRS-R", 17, 113, True, "Poznanski & Mokros 1996, manual", ("cdrsr",)),
    Scale("QIDS", 0, 27, True, "Rush et al. 2003, doi:10.1016/S0006-3223(02)01866-8", ("qids", "qidssr", "qidsc")),
    Scale("HADS-D", 0, 21, True, HADS, ("hadsd",)),
    Scale("HADS-A", 0, 21, True, HADS, ("hadsa",)),
    Scale("HADS", 0, 42, True, HADS, ("hads",)),
    Scale("K10", 0, 50, True, "Kessler et al. 2002, doi:10.1017/S0033291702006074 (items from 0 or from 1)", ("k10",)),
    Scale("GAD-7", 0, 21, True, "Spitzer et al. 2006, doi:10.1001/archinte.166.10.1092", ("gad7",)),
    Scale("BAI", 0, 63, True, "Beck et al. 1988, doi:10.1037/0022-006X.56.6.893", ("bai",)),
    Scale("HAM-A", 0, 56, True, "Hamilton 1959, doi:10.1111/j.2044-8341.1959.tb00467.x", ("hama", "hars")),
    Scale("LSAS", 0, 144, True, "Liebowitz 1987, doi:10.1159/000414022", ("lsas", "lsassr", "lsascr")),
    Scale("SPIN", 0, 68, True, "Connor et al. 2000, doi:10.1192/bjp.176.4.379", ("spin",)),
    Scale("SIAS", 0, 80, True, "Mattick & Clarke 1998, doi:10.1016/S0005-7967(97)10031-6", ("sias",)),
    Scale("SPS", 0, 80, True, "Mattick & Clarke 1998, doi:10.1016/S0005-7967(97)10031-6", ("sps",)),
    Scale("CAPS", 0, 136, True, "Blake et al. 1995, doi:10.1002/jts.2490080106 (CAPS-5: 0 to 80)", ("caps",)),
    Scale("IES", 0, 75, True, "Horowitz et al. 1979, doi:10.1097/00006842-197905000-00004", ("ies",)),
    Scale("PSS-I", 0, 51, True, "Foa et al. 1993, doi:10.1002/jts.2490060405", ("pssi",)),
    Scale("PDS", 0, 51, True, "Foa et al. 1997, doi:10.1037/1040-3590.9.4.445", ("pds",)),
    Scale("PCL", 0, 85, True, "17 items of 1 to 5; PCL-5: Blevins et al. 2015, doi:10.1002/jts.22059", ("pcl",)),
    Scale(
        "EDE-Q global",
        0,
        6,
        False,
        "Fairburn & Beglin 1994, doi:10.1002/1098-108X(199412)16:4<363::AID-EAT2260160405>3.0.CO;2-#",
        ("edeqglobal", "edeglobal"),
    ),
)
SCALE_OF = {name: scale for scale in SCALES for name in scale.names}


def scales_of(instrument: npt.NDArray[np.object_]) -> tuple[npt.NDArray[np.intp], tuple[Scale, ...]]:
    """Return for each key of an instrument its place in the scales, -1 where the range is not known.

    Parameters
    ----------
    instrument : numpy.ndarray of str
        From :func:`~ipt_evidence.studies.arms_keys.words_key`.
    """
    import pandas as pd

    codes, words = pd.factorize(instrument)
    place = {id(scale): at for at, scale in enumerate(SCALES)}
    known = [place[id(SCALE_OF[word])] if word in SCALE_OF else -1 for word in words]
    return np.array([*known, -1], dtype=np.intp)[codes], SCALES


__all__ = ["SCALES", "Scale", "scales_of", "words_key"]
