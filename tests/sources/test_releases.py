"""The registry of public releases: what it knows, what it admits not to know, and how a user is led to a name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ipt_evidence.errors import OptionError
from ipt_evidence.sources import releases
from ipt_evidence.sources.releases import find_release, list_releases

REGISTRY = json.loads(Path(releases.__file__).with_name("releases.json").read_text(encoding="utf-8"))


def test_every_entry_is_complete_and_every_checksum_has_a_source():
    names = [entry["name"] for entry in REGISTRY["databases"]]
    assert len(set(names)) == len(names) >= 10
    for entry in REGISTRY["databases"]:
        assert re.fullmatch(r"10\.5281/zenodo\.\d+", entry["doi"])
        assert entry["repository"].startswith("data-")
        assert entry["file"] == "data.csv"
        versions = [release["version"] for release in entry["releases"]]
        assert len(set(versions)) == len(versions)
        assert versions == sorted(versions, key=lambda v: [int(n) for n in v.split(".")], reverse=True)
        for release in entry["releases"]:
            assert release["version_source"]
            assert (release["sha256"] is None) == (release["checksum_source"] is None)
            assert release["sha256"] is None or re.fullmatch(r"[0-9a-f]{64}", release["sha256"])


def test_depression_database_is_the_one_the_shipped_rows_come_from():
    release = find_release("metapsy/depression-psyctr")
    assert (release.version, release.doi) == ("24.0.2", "10.5281/zenodo.7254845")
    assert release.sha256.startswith("4695dcf3fb9e")
    assert release.url == ("https://raw.githubusercontent.com/metapsy-project/data-depression-psyctr/24.0.2/data.csv")
    assert release.file_name == "depression-psyctr-24.0.2.csv"
    assert release.listed


def test_list_has_one_default_per_name_with_versions():
    table = list_releases()
    assert list(table.columns) == [
        *("name", "version", "default", "title", "doi", "licence", "sha256", "checksum_source", "url"),
    ]
    known = table[table["version"] != ""]
    assert (known.groupby("name")["default"].sum() == 1).all()
    unknown = table[table["version"] == ""]
    assert "metapsy/panic-psyctr" in set(unknown["name"])
    assert not unknown["default"].any()
    assert (unknown["url"] == "").all()


def test_a_version_that_is_not_listed_has_no_checksum():
    release = find_release("metapsy/panic-psyctr", "22.1.0")
    assert (release.listed, release.sha256) == (False, "")
    assert release.url.endswith("/data-panic-psyctr/22.1.0/data.csv")
    assert find_release("metapsy/depression-perinatal-psyctr", "25.0.0").place.startswith("data-dep-perinatal-psyctr/")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("depression-psyctr", "Did you mean 'metapsy/depression-psyctr'"),
        ("metapsy/depresion-psyctr", "Did you mean 'metapsy/depression-psyctr'"),
        ("ipt", "load_dataset"),
        (3, "received 3"),
    ],
)
def test_unknown_names_lead_to_known_ones(name, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        find_release(name)


def test_no_version_is_invented():
    with pytest.raises(OptionError, match=r"knows no version of 'metapsy/panic-psyctr'.*doi\.org/10\.5281"):
        find_release("metapsy/panic-psyctr")


@pytest.mark.parametrize("version", ["", "../../etc", "24.0.2/x", "a..b", " 24", "24.0.2\n", 24, "x" * 50])
def test_a_version_cannot_lead_out_of_its_folder(version):
    with pytest.raises(OptionError, match="version must be"):
        find_release("metapsy/depression-psyctr", version)
