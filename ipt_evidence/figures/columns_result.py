"""The columns with results: effect, interval, weights, and columns of the data that stand right of the panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ipt_evidence.figures import wording as w
from ipt_evidence.figures.columns import Column, RawColumn, Side, raw_columns
from ipt_evidence.figures.forest_inputs import FitView
from ipt_evidence.figures.forest_options import RowOptions

RESULTS = ("effect", "ci", "weight", "k", "n", "i2", "pi")


def result_columns(
    options: RowOptions, measure: str, leaves: Sequence[FitView], arms: tuple[str, str], level: float = 0.95
) -> tuple[tuple[Column, ...], tuple[RawColumn, ...]]:
    """Return the result columns from left to right, and those of them that are columns of the data.

    Raises
    ------
    OptionError
        A column is neither a result nor in the data.
    """
    house = options.house
    level = leaves[0].level if leaves else level
    given: Sequence[str] = house.right if options.right is None else list(options.right)
    headers = dict(options.right) if isinstance(options.right, Mapping) else {}
    weights = all(f.has_weights for f in leaves) and any(f.k > 1 for f in leaves) and options.rows != "fits"
    model = leaves[0].model if leaves else ""
    columns: list[Column] = []
    own: list[RawColumn] = []
    sides: list[tuple[Side, Sequence[str]]] = [("left", house.left), ("right", given)]
    for side, names in sides:
        for name in names:
            if side == "right" and name in house.left and options.right is None:
                continue
            if name == "weight":
                columns += _weights(options, side) if weights else []
            elif name in ("effect", "ci"):
                columns.append(_effect(name, options, measure, level, model, side))
            elif name not in RESULTS:
                own += raw_columns({name: headers.get(name, _header(name))}, [f.studies for f in leaves], arms, side)
                columns.append(own[-1].column)
            elif name == "n" and options.rows != "fits":
                own.append(_participants(side))
                columns.append(own[-1].column)
    return tuple(replace(c, header=headers.get(c.name.removeprefix("text_"), c.header)) for c in columns), tuple(own)


def _header(name: str) -> str:
    return w.COLUMN_NAMES.get(name, w.humanise(name))


def _effect(name: str, options: RowOptions, measure: str, level: float, model: str, side: Side) -> Column:
    house = options.house
    if name == "ci":
        return Column("text_ci", "", side=side, parts=house.separator.count(" ") + 1, joined=True)
    short, middle, _ = w.measure_names(measure)
    words = {"{short}": short, "{name}": middle, "{level}": f"{100 * level:g}", "{model}": model}
    header = house.effect_header
    for key, text in words.items():
        header = header.replace(key, text)
    return Column("text_effect", header.replace(", ,", ","), side=side)


def _weights(options: RowOptions, side: Side) -> list[Column]:
    header = options.house.weight
    if not options.common_effect:
        return [Column("text_weight", header, side=side)]
    return [
        Column("text_weight_common", "Common", span=header, side=side),
        Column("text_weight", "Random", span=header, side=side),
    ]


def _participants(side: Side) -> RawColumn:
    """Return the column of participants per trial, of both arms together."""
    from ipt_evidence.figures.columns import participants, participants_sum

    return RawColumn(Column("text_n", "n", side=side), participants, participants_sum)
