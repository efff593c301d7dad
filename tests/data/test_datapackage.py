"""The shipped data package: valid, complete, described, and in agreement with the row contract."""

from __future__ import annotations

import csv
import hashlib
import json
import warnings
from collections import defaultdict
from pathlib import Path

import pytest

from ipt_evidence.sources.registry import load_dataset
from ipt_evidence.studies.contract import COLUMN_OF, OTHER_CONTRASTS, OTHER_MEASURES

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
PACKAGE = json.loads((DATA / "datapackage.json").read_text(encoding="utf-8"))


def vocabulary():
    values = defaultdict(list)
    with (DATA / "curated" / "vocabulary.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values[row["column"]].append(row["value"])
    return values


def test_frictionless_accepts_the_package():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        frictionless = pytest.importorskip("frictionless")
        report = frictionless.validate(DATA / "datapackage.json")
    assert report.valid, report.flatten(["rowNumber", "fieldName", "type", "message"])
    assert report.stats["tasks"] == 3
    assert report.stats["warnings"] == 0


def test_frictionless_notices_a_broken_file(tmp_path):
    for resource in PACKAGE["resources"]:
        content = (DATA / resource["path"]).read_bytes()
        (tmp_path / resource["path"]).write_bytes(content.replace(b"ipt_vs_control", b"ipt_vs_nothing"))
    (tmp_path / "datapackage.json").write_bytes((DATA / "datapackage.json").read_bytes())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        frictionless = pytest.importorskip("frictionless")
        report = frictionless.validate(tmp_path / "datapackage.json")
    kinds = {row[0] for row in report.flatten(["type"])}
    assert "hash-count" in kinds or "constraint-error" in kinds
    assert not report.valid


def test_name_version_and_checksums():
    assert (PACKAGE["name"], PACKAGE["version"]) == ("ipt-evidence", "0.1.0")
    assert [resource["name"] for resource in PACKAGE["resources"]] == ["comparisons", "published", "claims"]
    for resource in PACKAGE["resources"]:
        content = (DATA / resource["path"]).read_bytes()
        assert resource["bytes"] == len(content)
        assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
        assert b"\r" not in content


def test_licence_and_attribution():
    licences = {licence["name"] for licence in PACKAGE["licenses"]}
    assert licences == {"ODC-By-1.0", "CC-BY-4.0"}
    assert any("10.5281/zenodo.7254845" in source["path"] for source in PACKAGE["sources"])
    for text in (DATA / "README.md", ROOT / "LICENSE-DATA"):
        content = text.read_text(encoding="utf-8")
        for words in ("10.5281/zenodo.7254845", "24.0.2", "CC-BY-4.0", "Depression: psychotherapy vs."):
            assert words in content


def test_every_column_is_described_and_in_the_codebook():
    codebook = (DATA / "README.md").read_text(encoding="utf-8")
    for resource in PACKAGE["resources"]:
        with (DATA / resource["path"]).open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        fields = resource["schema"]["fields"]
        assert [field["name"] for field in fields] == header
        for field in fields:
            assert field["description"].endswith(".")
            assert f"| `{field['name']}` | {field['type']}" in codebook
            if field["type"] == "number":
                assert field["unit"]


def test_every_controlled_value_occurs_and_is_listed():
    values = vocabulary()
    schema = {field["name"]: field for field in PACKAGE["resources"][0]["schema"]["fields"]}
    frame = load_dataset("ipt", analysis_set=None)
    for column, listed in values.items():
        assert [str(value) for value in schema[column]["constraints"]["enum"]] == listed
        cells = frame[column].dropna()
        used = {f"{cell:g}" if isinstance(cell, float) else cell for cell in cells} - {""}
        assert used == set(listed)


def test_vocabulary_agrees_with_the_row_contract():
    values = vocabulary()
    shared = [name for name, rule in COLUMN_OF.items() if rule.choices]
    assert set(shared) <= set(values)
    for name in shared:
        foreign = {*OTHER_CONTRASTS, *OTHER_MEASURES} if name in ("contrast", "effect_measure") else set()
        assert {str(choice) for choice in COLUMN_OF[name].choices} - foreign == set(values[name])


def test_limits_and_types_agree_with_the_row_contract():
    for field in PACKAGE["resources"][0]["schema"]["fields"]:
        rule = COLUMN_OF.get(field["name"])
        assert rule is not None, field["name"]
        assert (field["type"] == "string") == (rule.kind == "text")
        limits = field.get("constraints", {})
        if rule.minimum is not None:
            assert limits["minimum"] == rule.minimum
        if rule.maximum is not None:
            assert limits["maximum"] == rule.maximum


def test_labels_are_unique_per_trial_and_keep_the_letter():
    frame = load_dataset("ipt", analysis_set=None)
    labels = frame.groupby("trial_id")["study"].unique()
    assert (labels.str.len() == 1).all()
    assert labels.str[0].is_unique
    assert labels["weissman1979"][0] == "Weissman 1979"
    assert labels["reynolds1999"][0] == "Reynolds 1999"
    assert labels["reynolds1999b"][0] == "Reynolds 1999b"
    assert labels["vanschaik2006"][0] == "van Schaik 2006"


def test_one_trial_has_one_population():
    frame = load_dataset("ipt", analysis_set=None)
    assert (frame.groupby("trial_id")["population_group"].nunique() == 1).all()


def test_instruments_of_the_metapsy_trials():
    frame = load_dataset("ipt")
    metapsy = frame[frame["source"].str.startswith("metapsy")]
    trials = {family: rows["trial_id"].nunique() for family, rows in metapsy.groupby("instrument_family")}
    assert metapsy["trial_id"].nunique() == 31
    assert trials["HAM-D"] == 17
    assert metapsy[metapsy["instrument_family"].isin(["BDI", "BDI-II"])]["trial_id"].nunique() == 14
    assert (trials["BDI"], trials["BDI-II"]) == (10, 4)


def test_comparator_agrees_with_contrast():
    frame = load_dataset("ipt", analysis_set=None)
    controls = {"waitlist", "care_as_usual", "placebo", "no_intervention", "other_control"}
    assert set(frame.loc[frame["contrast"] == "ipt_vs_control", "comparator"]) == controls
    assert set(frame.loc[frame["contrast"] == "ipt_vs_psychotherapy", "comparator"]) == {"cbt", "other_psychotherapy"}
    for contrast in ("ipt_vs_pharmacotherapy", "combined_vs_pharmacotherapy"):
        assert set(frame.loc[frame["contrast"] == contrast, "comparator"]) == {"pharmacotherapy"}
    assert set(frame.loc[frame["contrast"] == "ipt_vs_combined", "comparator"]) == {"combined"}


def test_published_ids_and_numbers():
    frame = load_dataset("published")
    assert frame["published_id"].is_unique
    first = frame.set_index("published_id").loc["cuijpers2011-01"]
    assert (first["k"], first["estimate"], first["ci_low"], first["ci_high"]) == (16.0, 0.63, 0.36, 0.90)
    assert set(frame["condition_group"]) == {"depression", "eating_disorder", "anxiety", "other"}
    in_words = frame[frame["n_participants_text"] != ""]
    assert in_words["review_id"].tolist() == ["althobaiti2020"]
    assert in_words["n_participants"].isna().all()
