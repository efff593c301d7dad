"""The shipped data sets: found in every kind of installation, typed, checked, and selected by analysis set."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.errors import EvidenceError, OptionError, SchemaError
from ipt_evidence.sources import registry
from ipt_evidence.sources.registry import data_directory, data_hash, list_datasets, load_dataset

SETS = {
    "primary": 107,
    "sensitivity": 45,
    "not_estimable": 38,
    "secondary_outcome": 16,
    "follow_up": 10,
    "out_of_scope": 2,
}


def test_list_datasets_names_what_there_is():
    table = list_datasets().set_index("name")
    assert list(table.index) == ["ipt", "published", "claims"]
    assert table["rows"].to_dict() == {"ipt": 218, "published": 85, "claims": 16}
    assert table.loc["ipt", "trials"] == 95
    assert table.loc[["published", "claims"], "trials"].isna().all()
    assert table.loc["ipt", "licence"] == "ODC-By-1.0 and CC-BY-4.0"
    for name, row in table.iterrows():
        path = Path(row["where"])
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"] == data_hash(str(name))


@pytest.mark.parametrize(("name", "rows"), SETS.items())
def test_analysis_set_selects_its_rows(name, rows):
    frame = load_dataset("ipt", analysis_set=name)
    assert len(frame) == rows
    assert set(frame["analysis_set"]) == {name}
    assert list(frame.index) == list(range(rows))


def test_default_is_primary_none_is_everything_and_lists_work():
    pd.testing.assert_frame_equal(load_dataset("ipt"), load_dataset("ipt", analysis_set="primary"))
    everything = load_dataset("ipt", analysis_set=None)
    assert len(everything) == sum(SETS.values())
    both = load_dataset("ipt", analysis_set=["primary", "follow_up"])
    keep = everything["analysis_set"].isin(["primary", "follow_up"])
    pd.testing.assert_frame_equal(both, everything[keep].reset_index(drop=True))


def test_source_travels_with_the_table():
    source = load_dataset("published").attrs["source"]
    assert source == {
        "name": "published",
        "file": "published.csv",
        "sha256": data_hash("published"),
        "version": "0.1.0",
    }
    assert load_dataset("ipt").attrs["source"]["name"] == "ipt"


def test_types_and_missing_values():
    frame = load_dataset("ipt", analysis_set=None)
    assert frame["year"].dtype == np.int64
    assert frame["n_1"].dtype == np.float64
    assert frame["n_1"].isna().any()
    assert frame["lower_is_better"].dtype == np.float64
    text = frame.select_dtypes(exclude="number")
    assert not text.isna().any().any()
    assert (frame["set_reason"] == "").sum() == SETS["primary"]
    assert all(isinstance(value, str) for value in frame["rob_assessor_blinding"])


def test_a_fresh_copy_each_time():
    first = load_dataset("ipt")
    first["effect"] = 99.0
    first.attrs["source"]["name"] = "changed"
    again = load_dataset("ipt")
    assert not (again["effect"] == 99.0).any()
    assert again.attrs["source"]["name"] == "ipt"


def test_unknown_names_list_the_choices():
    with pytest.raises(OptionError, match=r"'ipt', 'published', 'claims'; received 'depression'"):
        load_dataset("depression")
    with pytest.raises(OptionError, match=r"'primary', 'sensitivity'.*received 'Primary'"):
        load_dataset("ipt", analysis_set="Primary")
    with pytest.raises(OptionError, match=r"received 3"):
        load_dataset("ipt", analysis_set=3)
    with pytest.raises(OptionError, match=r"received 'nothing'"):
        load_dataset("ipt", analysis_set=["primary", "nothing"])
    with pytest.raises(OptionError):
        data_hash("nothing")


@pytest.mark.parametrize("value", ["primary", None])
@pytest.mark.parametrize("name", ["published", "claims"])
def test_analysis_set_is_refused_where_there_is_none(name, value):
    with pytest.raises(OptionError, match="has no analysis sets"):
        load_dataset(name, analysis_set=value)


def test_folder_inside_an_installed_package_comes_first(tmp_path):
    package = tmp_path / "site-packages" / "ipt_evidence"
    shutil.copytree(data_directory(), package / "data", ignore=shutil.ignore_patterns("curated"))
    assert registry._find_directory(package) == package / "data"


def test_folder_beside_the_package_in_a_clone(tmp_path):
    (tmp_path / "ipt_evidence").mkdir()
    shutil.copytree(data_directory(), tmp_path / "data", ignore=shutil.ignore_patterns("curated"))
    assert registry._find_directory(tmp_path / "ipt_evidence") == tmp_path / "data"


@pytest.mark.parametrize("content", ["", "not json", "[]", json.dumps({"name": "somebody-elses-data"})])
def test_a_strangers_data_folder_is_not_ours(tmp_path, content):
    (tmp_path / "ipt_evidence").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "datapackage.json").write_text(content, encoding="utf-8")
    with pytest.raises(EvidenceError, match="were not found"):
        registry._find_directory(tmp_path / "ipt_evidence")


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    shutil.copytree(data_directory(), folder, ignore=shutil.ignore_patterns("curated"))
    claims = folder / "claims.csv"
    claims.write_bytes(claims.read_bytes().replace(b"c01,", b"c99,"))
    monkeypatch.setattr(registry, "data_directory", lambda: folder)
    with pytest.raises(SchemaError, match=r"claims\.csv.*was changed or damaged"):
        load_dataset("claims")
    assert len(load_dataset("published")) == 85


def test_loading_again_is_fast():
    load_dataset("ipt")
    start = time.perf_counter()
    for _ in range(10):
        load_dataset("ipt")
    assert time.perf_counter() - start < 2.0
