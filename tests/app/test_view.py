"""The state of the page in its address: nothing lost, nothing broken by what people type."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence import options as opt
from ipt_evidence.app import view as v
from ipt_evidence.app.view import View, from_query, to_query

texts = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
sets = st.lists(texts, max_size=3).map(tuple)


def one(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from(values)


def views(vs: st.SearchStrategy[View | None]) -> st.SearchStrategy[View]:
    return st.builds(
        View,
        data=one("ipt", "upload"),
        condition=one(*v.CONDITIONS),
        contrast=one(*v.CONTRASTS),
        phase=one(*v.PHASES),
        population=sets,
        comparator=sets,
        format=sets,
        rob=st.integers(0, 4),
        year_from=st.none() | st.integers(1950, 2100),
        year_to=st.none() | st.integers(1950, 2100),
        instruments=one("all", "highest", "lowest", "first"),
        family=texts | st.just(""),
        rating=one("", "clinician", "self"),
        group=one("", *v.GROUPS),
        preset=one(*get_args(opt.Preset)),
        tau2=one("", *get_args(opt.Tau2Method)),
        ci=one("", *get_args(opt.CiMethod)),
        prediction=one("", *get_args(opt.PredictionDf)),
        dependence=one("", *get_args(opt.Dependence)),
        rho=st.none() | st.floats(0, 1).map(abs),
        level=st.floats(0.5, 0.999),
        convention=one("", "metapsy", "cma"),
        outliers=one("none", "outliers", "influential"),
        out=sets,
        tab=one(*v.TABS),
        moderator=one(*v.MODERATORS),
        axis=one("", *v.AXES),
        vs=vs,
    )


@given(views(st.none() | views(st.none())))
@settings(derandomize=True, deadline=None, max_examples=40)
def test_the_address_keeps_every_choice(view: View) -> None:
    parsed = from_query(to_query(view))
    assert parsed.view == view
    assert parsed.problems == ()
    assert hash(parsed.view) == hash(view)


@given(st.text(max_size=60) | st.lists(st.tuples(one(*[f.name for f in fields(View)]), st.text(max_size=9))).map(str))
@settings(derandomize=True, deadline=None, max_examples=40)
def test_no_address_breaks_the_page(text: str) -> None:
    parsed = from_query(text)
    assert from_query(to_query(parsed.view)).view == parsed.view


def test_an_empty_address_is_the_default() -> None:
    assert to_query(View()) == ""
    assert from_query("?").view == View()


@pytest.mark.parametrize("name", [f.name for f in fields(View) if f.name not in ("population", "format", "comparator")])
def test_a_bad_value_is_named_and_takes_its_default(name: str) -> None:
    value = "a%00b" if name in ("out", "family") else "%3Cscript%3E"
    parsed = from_query(f"{name}={value}&condition=anxiety" if name != "condition" else f"{name}={value}")
    assert getattr(parsed.view, name) == getattr(View(), name)
    assert parsed.view.condition == ("depression" if name == "condition" else "anxiety")
    (said,) = parsed.problems
    assert f"{name} = " in said


def test_unknown_names_are_said_and_long_ones_cut() -> None:
    (said,) = from_query(f"{'x' * 500}=1").problems
    assert "does not know" in said
    assert len(said) < 150


@pytest.mark.parametrize("query", ["x=1&" * 500, "out=" + "a" * 7000])
def test_an_endless_address_is_refused(query: str) -> None:
    parsed = from_query(query)
    assert parsed.view == View()
    assert len(parsed.problems) == 1


def test_the_kept_view_does_not_nest() -> None:
    inner = View(condition="anxiety", vs=View(contrast="ipt_vs_psychotherapy"))
    parsed = from_query(to_query(View(vs=inner)))
    assert parsed.view.vs == replace(inner, vs=None)


def test_the_order_of_values_does_not_matter() -> None:
    assert from_query("out=b&out=a&out=b").view == View(out=("a", "b"))
