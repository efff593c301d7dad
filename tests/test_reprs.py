"""Every result shows itself: as an HTML table with a caption in a notebook, as words and numbers in a terminal."""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.evidence.conditions import pool_by_condition

PACKAGE = Path(ipt.__file__).parent
HOSTILE = "<b>O'Hara & Sons</b> <script>alert(1)</script>"
NO_RESULTS = {"FigureStyle"}
TABLES_WITHOUT_CAPTION = {"MethodsText"}
LINES = 130
"""Characters of a line in a terminal, except a sentence of its own."""
MOST_LINES = 120
COLOURS = re.compile(r"color|background|bgcolor|<font|<style|#[0-9a-f]{3,6}\b|rgb\(", re.IGNORECASE)
CLASSES = {
    match: path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".")
    for path in sorted(PACKAGE.rglob("*.py"))
    for match in re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
}


@cache
def effects() -> pd.DataFrame:
    """Return one effect each of twelve trials, one of them with a name that is not harmless, and two of two trials."""
    table = ipt.effect_sizes(ipt.load_dataset("ipt")).query("contrast == 'ipt_vs_control' and phase == 'acute'")
    table = table[table["condition"] == "depression"]
    table = table[table["trial_id"].isin(table["trial_id"].unique()[:12])]
    first = table["trial_id"].iloc[0]
    names = table["study"].where(table["trial_id"] != first, HOSTILE)
    return table.assign(study=names, early=(table["year"] < 2010).map({True: "early", False: "late"}))


@cache
def fit() -> Any:
    return ipt.pool(effects(), dependence="aggregate")


@cache
def counts() -> pd.DataFrame:
    rows = ipt.load_dataset("ipt").query("statistics == 'events' and contrast == 'ipt_vs_control'")
    return rows.drop_duplicates("trial_id")


def network() -> Any:
    table = ipt.effect_sizes(ipt.load_dataset("ipt"))
    return ipt.network(ipt.network_table(table, condition="depression"))


def headers() -> pd.DataFrame:
    return pd.DataFrame(columns=["Trial <b>", "Mean IPT", "SD (control)", "N treatment", "Colour"])


def small_multiverse() -> Any:
    return ipt.multiverse(effects(), which={}, how={"tau2_method": ["REML", "DL"]})


def two_versions() -> Any:
    rows = ipt.load_dataset("ipt").head(12)
    return ipt.diff_studies(rows, rows.assign(study=HOSTILE, n_1=rows["n_1"] + 1).iloc[2:])


def read_choices() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "choices.yaml"
        path.write_text("how:\n  tau2_method: [REML, DL]\n", encoding="utf-8")
        return ipt.read_choices(path, effects())


CASES: dict[str, Callable[[], Any]] = {
    "AbsoluteEffects": lambda: ipt.absolute_effects(fit()),
    "AnalysisMenu": lambda: ipt.analysis_menu(effects(), analyses=["combined", "outliers_removed"]),
    "BayesFit": lambda: ipt.bayes(effects()),
    "BiasTable": lambda: ipt.bias_table(fit()),
    "BinaryFit": lambda: ipt.pool_binary(counts()),
    "BootstrapPrediction": lambda: ipt.bootstrap_prediction(fit(), draws=100, seed=1),
    "CaliperTest": lambda: ipt.caliper_test(fit()),
    "Choices": read_choices,
    "Claims": lambda: ipt.check_claims(bias=False),
    "ColumnMapping": lambda: ipt.guess_mapping(headers()).mapping,
    "ContrastFits": lambda: pool_by_condition(effects()),
    "Converted": lambda: ipt.to_points([0.5, 0.2], sd=7, instrument="HAM-D"),
    "CopasModel": lambda: ipt.copas(fit(), probabilities=(0.9, 0.5)),
    "ExcessSignificance": lambda: ipt.excess_significance(fit()),
    "FailsafeN": lambda: ipt.failsafe_n(fit()),
    "Gosh": lambda: ipt.gosh(fit(), subsets=200),
    "GoshClusters": lambda: ipt.gosh(fit(), subsets=200).clusters(sample=200),
    "InfluenceTable": lambda: ipt.leave_one_out(fit()),
    "Judgements": lambda: ipt.read_judgements(PACKAGE.parent / "docs" / "how-to" / "certainty_example.yaml"),
    "LimitMeta": lambda: ipt.limit_meta(fit()),
    "LocationScale": lambda: ipt.location_scale(effects(), "~ 1", "~ early", dependence="aggregate"),
    "MappingGuess": lambda: ipt.guess_mapping(headers()),
    "MeanSd": lambda: ipt.mean_sd_from_quantiles(n=[20, 30], median=[4, 5], q1=[2, 3], q3=[7, 8]),
    "MetaRegression": lambda: ipt.meta_regression(effects(), "~ year", dependence="aggregate"),
    "MethodsText": lambda: ipt.methods_text(fit()),
    "MultilevelFit": lambda: ipt.multilevel(effects(), rho=0.6),
    "Multiverse": small_multiverse,
    "NetworkFit": network,
    "NullTest": lambda: small_multiverse().null_test(permutations=5, seed=1),
    "Outliers": lambda: ipt.outliers(fit()),
    "PCurve": lambda: ipt.p_curve(fit()),
    "PUniform": lambda: ipt.p_uniform(fit()),
    "PUniformStar": lambda: ipt.p_uniform_star(fit()),
    "PetPeese": lambda: ipt.pet_peese(fit()),
    "PooledFit": fit,
    "PooledFits": lambda: ipt.pool_by(effects(), "early", dependence="aggregate"),
    "Power": lambda: ipt.power(fit(), effect=0.24),
    "ReportTable": lambda: ipt.study_table(fit()),
    "Reproduction": ipt.reproduce,
    "ProfileInterval": lambda: ipt.multilevel(effects(), rho=0.6).profile_ci("between"),
    "RhoSensitivity": lambda: ipt.multilevel(effects(), rho=(0.2, 0.6)),
    "SamplingCovariance": lambda: ipt.sampling_covariance(effects()),
    "SelectionModel": lambda: ipt.selection_model(fit()),
    "Simulated": lambda: ipt.simulate(k=3, sets=4, publish=0.5, seed=1),
    "SkewnessTest": lambda: ipt.skewness_test(n=[20, 30], median=[4, 5], q1=[2, 3], q3=[7, 8]),
    "SmallStudyTest": lambda: ipt.egger_test(fit()),
    "SummaryOfFindings": lambda: ipt.summary_of_findings(fit()),
    "TrimAndFill": lambda: ipt.trim_and_fill(fit()),
    "VersionDiff": two_versions,
    "WeightSensitivity": lambda: ipt.weight_sensitivity(fit()),
    "WorstCase": lambda: ipt.worst_case(fit()),
    "ZCurve": lambda: ipt.z_curve(ipt.simulate(mu=1, k=12, sets=1, seed=1).table(0), bootstraps=5),
}


def public_results() -> set[str]:
    """Return the names of the package's classes that public functions, and methods of their results, return."""
    found = {name for name in ipt.__all__ if inspect.isclass(getattr(ipt, name))}
    functions = [getattr(ipt, name) for name in ipt.__all__ if inspect.isfunction(getattr(ipt, name))]
    functions += [pool_by_condition]
    waiting = [*functions, *(getattr(ipt, name) for name in found)]
    while waiting:
        thing = waiting.pop()
        members = [thing] if inspect.isfunction(thing) else [m for n, m in vars(thing).items() if not n.startswith("_")]
        for member in members:
            returned = str(getattr(member, "__annotations__", {}).get("return", ""))
            for name in set(re.findall(r"[A-Z]\w+", returned)) & set(CLASSES) - found:
                found.add(name)
                waiting.append(getattr(import_module(CLASSES[name]), name))
    return found - NO_RESULTS


class Page(HTMLParser):
    """Checks that tags are closed in order, and keeps what the page says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.said: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("br", "hr", "img", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"closed without being open: {tag}"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def test_every_public_result_is_looked_at() -> None:
    lacking = public_results() - set(CASES)
    assert not lacking, f"give these results a _repr_html_, @readable and a case here: {sorted(lacking)}"


@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")
@pytest.mark.parametrize("name", CASES)
def test_result_shows_itself(name: str) -> None:
    result = CASES[name]()
    assert type(result).__name__ == name
    text = result._repr_html_()
    page = Page(text)
    assert "table" in page.tags
    assert {"th", "td"} <= set(page.tags)
    assert name in TABLES_WITHOUT_CAPTION or re.search(r"<caption[^>]*>\s*[^\s<][^<]{5,}", text)
    assert not COLOURS.search(re.sub(r">[^<]*<", "><", text)), "a fixed colour cannot be read on dark and light pages"
    assert not set(page.tags) & {"script", "b"}
    assert re.search(r"\d", "".join(page.said))
    assert not re.search(r"\bnan\b|\bNone\b|\bobject at\b|<NA>", "".join(page.said)), "say '-' where there is nothing"
    if not isinstance(result, pd.DataFrame):
        check_terminal(repr(result), name)


def check_terminal(text: str, name: str) -> None:
    assert not text.startswith(f"{name}("), "a list of fields is no text to read: decorate the class with @readable"
    assert not re.search(r"array\(|mappingproxy|dtype=|object at 0x|<caption|<td", text)
    assert re.search(r"\d", text)
    assert not re.search(r"\d\.\d{8,}", text), "more digits than anybody reads"
    assert len(text.splitlines()) <= MOST_LINES
    rows = [line for line in text.splitlines() if re.search(r"\d +-?\d.* +-?\d", line)]
    assert all(len(line) <= LINES for line in rows if not line.rstrip().endswith((".", ")")))


def test_the_hostile_name_gets_as_far_as_the_table() -> None:
    assert "&lt;script&gt;" in ipt.leave_one_out(fit())._repr_html_()
    assert "<b>O'Hara & Sons</b>" in repr(ipt.gosh(fit(), subsets=200))


@pytest.mark.parametrize("name", [name for name in ipt.__all__ if inspect.isfunction(getattr(ipt, name))])
def test_help_names_every_option(name: str) -> None:
    parameters = inspect.signature(getattr(ipt, name)).parameters.values()
    vague = [p.name for p in parameters if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert not vague, f"write the options into the signature: @names_options(...) on {name}"


def test_named_options_are_those_that_are_taken() -> None:
    shown = inspect.signature(ipt.pool_by).parameters
    assert set(inspect.signature(ipt.pool).parameters) <= set(shown)
    assert shown["tau2_method"].annotation == "Tau2Method | None"
    assert inspect.signature(ipt.forest_plot).parameters["digits"].default == 2
