"""The data commands: list, show, validate, convert, diff, flags, download."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from tests.cli.helpers import run, table_of


@pytest.fixture
def edited(table: Path) -> Path:
    """The user's table a year later: one trial more, one less, one number corrected."""
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    frame = frame[frame["trial_id"] != "weissman1979"]
    more = frame[frame["trial_id"] == "bolton2003"].assign(trial_id="new2024", comparison_id="new2024_1")
    frame.loc[frame["trial_id"] == "bolton2003", "mean_1"] = "9.9"
    path = table.with_name("later.csv")
    pd.concat([frame, more]).to_csv(path, index=False)
    return path


def test_data_list_names_the_shipped_sets() -> None:
    frame = table_of(run("data", "list", "--format", "csv"))
    assert set(frame["name"]) == {"ipt", "published", "claims"}
    assert frame.set_index("name").loc["ipt", "rows"] == 218
    assert len(frame.set_index("name").loc["ipt", "sha256"]) == 64


def test_data_list_names_the_releases() -> None:
    frame = table_of(run("data", "list", "--releases", "--format", "csv"))
    depression = frame[(frame["name"] == "metapsy/depression-psyctr") & frame["default"].eq(True)]
    assert depression["version"].tolist() == ["24.0.2"]
    assert "metapsy/depression-psyctr" in run("data", "list", "--releases").stdout


@pytest.mark.parametrize("name", ["ipt", "published", "claims"])
def test_data_show_prints_every_row(name: str) -> None:
    rows = json.loads(run("data", "show", name, "--format", "json").stdout)
    assert len(rows) == {"ipt": 218, "published": 85, "claims": 16}[name]


def test_data_show_selects_rows_and_columns() -> None:
    frame = table_of(run("data", "show", "--condition", "anxiety", "--columns", "study, instrument", "--format", "csv"))
    assert list(frame.columns) == ["study", "instrument"]
    assert len(frame) == 35


def test_data_show_prints_a_users_file(table: Path) -> None:
    assert "elkin1989" in run("data", "show", table).stdout
    frame = table_of(run("data", "show", table, "--format", "csv"))
    assert set(frame["trial_id"]) == {"elkin1989", "weissman1979", "bolton2003"}


def test_data_validate_accepts_a_good_table(table: Path) -> None:
    result = run("data", "validate", table)
    assert result.exit_code == 0, result.stderr
    assert "3 trials" in result.stdout
    assert run("data", "validate", table, "--format", "json").stdout.strip() == "[]"


def test_data_validate_says_every_problem_and_writes_nothing(table: Path) -> None:
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    frame.loc[0, "sd_1"] = "-1"
    frame.loc[1, "condition"] = "depresion"
    frame.to_csv(table, index=False)
    before = sorted(table.parent.iterdir())
    result = run("data", "validate", table, "nowhere.csv")
    assert result.exit_code == 1
    assert result.stdout == ""
    for said in ("sd_1", "'-1'", "depresion", "row 2", "row 3", "nowhere.csv"):
        assert said in result.stderr
    assert sorted(table.parent.iterdir()) == before
    listed = run("data", "validate", table, "--format", "json")
    assert listed.exit_code == 1
    problems = json.loads(listed.stdout)
    assert [(p["row"], p["column"], p["value"]) for p in problems] == [(2, "sd_1", "-1"), (3, "condition", "depresion")]


def test_data_diff_tells_trials_and_cells(table: Path, edited: Path) -> None:
    result = run("data", "diff", table, edited)
    assert result.exit_code == 0, result.stderr
    for said in ("1 trial added: new2024", "1 trial dropped: weissman1979", "mean_1", "9.9", "trial dropped"):
        assert said in result.stdout
    frame = table_of(run("data", "diff", table, edited, "--format", "csv"))
    changed = frame[frame["change"] == "value changed"]
    assert set(changed["trial_id"]) == {"bolton2003"}
    assert "statistics" in set(changed["concerns"])
    same = table_of(run("data", "diff", table, edited, "--format", "csv", "--ignore", "mean_1"))
    assert "mean_1" not in set(same["column"])


def test_data_diff_of_the_same_says_so(table: Path) -> None:
    result = run("data", "diff", "ipt", "ipt")
    assert "rows without any difference: 218" in result.stdout
    assert json.loads(run("data", "diff", table, table, "--format", "json").stdout) == []


@pytest.fixture
def mirror(tmp_path: Path, table: Path) -> Path:
    """A folder laid out as the public address."""
    place = tmp_path / "mirror" / "data-depression-psyctr" / "1.0.0" / "data.csv"
    place.parent.mkdir(parents=True)
    place.write_bytes(table.read_bytes())
    return tmp_path / "mirror"


def test_data_download_prints_the_path(tmp_path: Path, mirror: Path, table: Path) -> None:
    options = ("--version", "1.0.0", "--base-url", mirror, "--cache-dir", tmp_path / "cache")
    result = run("data", "download", "metapsy/depression-psyctr", *options)
    assert result.exit_code == 0, result.stderr
    path = Path(result.stdout.strip())
    assert path == tmp_path / "cache" / "depression-psyctr-1.0.0.csv"
    assert path.read_bytes() == table.read_bytes()
    assert "note: depression-psyctr-1.0.0.csv was not verified" in result.stderr
    assert "10.5281/zenodo.7254845" in result.stderr
    (record,) = json.loads(run("data", "download", "metapsy/depression-psyctr", *options, "--format", "json").stdout)
    assert record["path"] == str(path)
    assert record["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert record["verified"] is False


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (("data", "show", "nothing"), 2, "nothing"),
        (("data", "show", "nothing.csv"), 1, "does not exist"),
        (("data", "show", "--columns", "colour"), 2, "colour"),
        (("data", "validate"), 2, "files"),
        (("data", "validate", "nowhere.csv", "--data-format", "colour"), 2, "colour"),
        (("data", "diff", "ipt", "nowhere.csv"), 1, "nowhere.csv"),
        (("data", "diff", "ipt", "ipt", "--tolerance", "-1"), 2, "tolerance"),
        (("data", "diff", "ipt", "claims"), 1, "trial_id"),
        (("data", "flags", "nowhere.csv"), 1, "nowhere.csv"),
        (("data", "convert", "nowhere.csv", "x.csv"), 1, "nowhere.csv"),
        (("data", "download", "depression-psyctr"), 2, "Did you mean 'metapsy/depression-psyctr'"),
        (("data", "download", "metapsy/panic-psyctr"), 2, "knows no version"),
        (("data", "download", "metapsy/depression-psyctr", "--timeout", "0"), 2, "timeout"),
        (("data", "download", "metapsy/depression-psyctr", "--base-url", "nowhere", "--cache-dir", "no"), 1, "by hand"),
        (("data", "colour"), 2, "colour"),
    ],
)
def test_errors_are_one_message_and_a_status(
    args: tuple[str, ...], status: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*args)
    assert result.exit_code == status, result.stderr
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["list", "show", "validate", "convert", "diff", "flags", "download"])
def test_help_of_every_command(command: str) -> None:
    result = run("data", command, "--help")
    assert result.exit_code == 0
    assert "--help" in result.stdout


@pytest.mark.parametrize("name", ["out.csv", "out.xlsx", "out.zip"])
def test_data_convert_keeps_every_row_and_replaces_only_when_told(table: Path, name: str) -> None:
    target = table.with_name(name)
    result = run("data", "convert", table, target)
    assert result.exit_code == 0, result.stderr
    rows = len(pd.read_csv(table))
    assert f"{rows} rows written" in result.stderr
    again = run("data", "convert", table, target)
    assert again.exit_code == 2
    assert name in again.stderr
    assert run("data", "convert", table, target, "--overwrite").exit_code == 0
    if target.suffix != ".zip":
        same = run("data", "diff", table, target)
        assert f"rows without any difference: {rows}" in same.stdout, same.stdout + same.stderr


def test_data_convert_writes_the_format_asked_for(table: Path) -> None:
    target = table.with_name("metafor.csv")
    assert run("data", "convert", table, target, "--to", "metafor").exit_code == 0
    assert {"m1i", "sd1i"} <= set(pd.read_csv(target).columns)
    wrong = run("data", "convert", table, table.with_name("x.csv"), "--to", "colour")
    assert (wrong.exit_code, "colour" in wrong.stderr) == (2, True)


def test_data_flags_find_the_standard_errors_typed_as_sd(table: Path) -> None:
    frame = table_of(run("data", "flags", "--format", "csv"))
    assert set(frame.loc[frame["flag"] == "se_as_sd", "trial_id"]) == {"lenze2017"}
    shown = run("data", "flags")
    assert "lenze2017" in shown.stdout
    assert "nothing was changed" in shown.stderr
    nothing = run("data", "flags", str(table))
    assert (nothing.stdout, nothing.stderr.strip()) == ("", "No flags.")


def test_files_in_columns_of_other_names(table: Path) -> None:
    frame = pd.read_csv(table, dtype=str, keep_default_na=False).rename(columns={"trial_id": "Trial", "sd_1": "SD IPT"})
    frame.to_csv(table, index=False)
    assert run("data", "validate", table).exit_code == 1
    mapping = table.with_suffix(".yaml")
    mapping.write_text("columns:\n  Trial: trial_id\n  SD IPT: sd_1\n", encoding="utf-8")
    result = run("data", "validate", table, "--mapping", mapping)
    assert result.exit_code == 0, result.stderr
    assert "3 trials" in result.stdout
