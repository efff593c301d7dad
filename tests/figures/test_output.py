import io
import pickle
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
from PIL import Image

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.output import EvidenceFigure, save_figure

from .helpers import LONG, make_effects

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def fig():
    table = make_effects(6)
    table.loc[0, "study"] = "O'Hara & Søn < 2000"
    return ipt.forest_plot(ipt.pool(table), title="A < B & C")


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_same_figure_same_bytes(fig, tmp_path, ending):
    one = save_figure(fig, tmp_path / f"one.{ending}").read_bytes()
    other = save_figure(fig, tmp_path / f"other.{ending}").read_bytes()
    assert one == other


def test_svg_is_described_and_its_text_is_text(fig, tmp_path):
    root = ET.parse(save_figure(fig, tmp_path / "forest.svg")).getroot()
    assert root.get("role") == "img"
    ids = {e.get("id"): e for e in root.iter() if e.get("id")}
    assert [ids[name].tag for name in root.get("aria-labelledby").split()] == [f"{SVG}title", f"{SVG}desc"]
    assert ids["description"].text == ipt.alt_text(fig)
    texts = ["".join(e.itertext()).strip() for e in root.iter(f"{SVG}text")]
    drawn = [t.get_text() for t in fig.axes[0].texts if t.get_text()]
    assert sorted(texts) == sorted([*drawn, *(t.get_text() for t in fig.axes[0].get_xticklabels())])
    assert "O'Hara & Søn < 2000" in texts


def test_pdf_embeds_fonts_says_what_it_is_and_is_the_same_again(fig, tmp_path):
    data, again = (save_figure(fig, tmp_path / f"{i}.pdf", title="The title").read_bytes() for i in range(2))
    assert data == again
    assert b"The title" in data
    assert b"/FontFile2" in data
    assert b"CreationDate" not in data


def test_png_carries_the_alt_text(fig, tmp_path):
    with Image.open(save_figure(fig, tmp_path / "forest.png", dpi=100)) as image:
        assert image.text["Description"] == ipt.alt_text(fig)
        assert image.width == pytest.approx(100 * fig.get_figwidth(), abs=2)


def test_unknown_ending_is_refused_and_nothing_is_written(fig, tmp_path):
    with pytest.raises(OptionError, match="svg"):
        save_figure(fig, tmp_path / "forest.docx")
    assert list(tmp_path.iterdir()) == []


def test_figures_of_others_can_be_saved_too(tmp_path):
    other = mpl.figure.Figure()
    other.add_subplot().plot([1, 2])
    assert save_figure(other, tmp_path / "other.svg").stat().st_size > 0


def test_savefig_keeps_text_whatever_the_settings(fig):
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path"}):
        fig.savefig(buffer, format="svg")
    assert b"<text" in buffer.getvalue()


def test_a_notebook_shows_it_with_alt_text(fig):
    formatters = pytest.importorskip("IPython.core.formatters")
    data, metadata = formatters.DisplayFormatter().format(fig)
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == ipt.alt_text(fig)
    with Image.open(io.BytesIO(data["image/png"])) as image:
        assert image.width == pytest.approx(2 * metadata["image/png"]["width"], abs=3)


def test_very_tall_figures_can_be_drawn(tmp_path):
    fig = EvidenceFigure(figsize=(0.2, 400))
    assert save_figure(fig, tmp_path / "tall.png").exists()


def test_figures_can_be_pickled(fig):
    copy = pickle.loads(pickle.dumps(fig))
    assert ipt.alt_text(copy) == ipt.alt_text(fig)


def test_long_and_repeated_labels_are_complete_in_svg(tmp_path):
    table = make_effects(4)
    table["study"] = [LONG, LONG, "Same 1999", "Same 1999"]
    root = ET.parse(save_figure(ipt.forest_plot(ipt.pool(table)), tmp_path / "forest.svg")).getroot()
    texts = ["".join(e.itertext()).strip() for e in root.iter(f"{SVG}text")]
    assert texts.count("Same 1999") == 2
    assert texts.count(LONG[:40].rsplit(" ", 1)[0]) <= 2
    assert " ".join(texts).count("multicentre registry") == 2
