import io
import re

import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.forest_marks import LABELS
from ipt_evidence.figures.forest_pages import forest_pages
from ipt_evidence.figures.output import save_figure

from .helpers import artist, collisions, make_effects, texts_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")


@pytest.fixture(scope="module")
def grouped():
    table = make_effects(28, seed=4)
    return ipt.pool_by(table.assign(place=["home"] * 20 + ["clinic"] * 8), "place", ci_method="wald")


@pytest.fixture(scope="module")
def pages(grouped):
    return forest_pages(grouped, rows_per_page=18, overall=True)


def test_every_trial_is_on_one_page_with_its_number(grouped, pages):
    found = np.concatenate([artist(p.axes[0], LABELS["squares"]).get_offsets()[:, 0] for p in pages])
    rows = ipt.forest_rows(grouped, overall=True, thin=False)
    np.testing.assert_array_equal(found, rows.loc[rows["kind"] == "study", "effect"])


def test_pages_share_axis_headers_and_scale_of_squares(grouped, pages):
    assert len({p.axes[0].get_xlim() for p in pages}) == 1
    sizes = np.concatenate([artist(p.axes[0], LABELS["squares"]).get_sizes() for p in pages])
    weights = np.concatenate([fit.studies["weight"] * fit.k for fit in grouped.values()])
    np.testing.assert_allclose(sizes / sizes.max(), weights / weights.max())
    for page in pages:
        assert "Study" in [t.get_text() for t in texts_of(page)[0]]
        assert collisions(page) == []


def test_a_group_that_goes_on_says_so(pages):
    shown = [[t.get_text() for t in texts_of(page)[0]] for page in pages]
    assert "Home" in shown[0]
    assert "Home (continued)" in shown[1]
    assert f"Page 2 of {len(pages)}." in shown[1]
    assert ipt.alt_text(pages[1]).endswith(f"Page 2 of {len(pages)}.")
    assert sum(any(t.startswith("Method:") for t in page) for page in shown) == 1


def test_what_was_pooled_stays_with_a_trial(grouped):
    for most in (12, 17):
        for page in forest_pages(grouped, rows_per_page=most)[1:]:
            labels = [t.get_text() for t in page.axes[0].texts]
            first = next(i for i, x in enumerate(labels) if "(continued)" not in x)
            assert not labels[first].startswith(("Subtotal", "Prediction", "Heterogeneity"))


def test_pages_are_written_into_one_pdf(pages, tmp_path):
    data = save_figure(pages, tmp_path / "forest.pdf").read_bytes()
    assert len(re.findall(rb"/Type /Page\b", data)) == len(pages)
    assert b"CreationDate" not in data


def test_pages_go_into_pdf_only(pages, tmp_path):
    with pytest.raises(OptionError, match=r"go into one \.pdf"):
        save_figure(pages, tmp_path / "forest.svg")
    with pytest.raises(OptionError, match="0 pages"):
        save_figure([], tmp_path / "forest.pdf")
    assert list(tmp_path.iterdir()) == []


def test_few_rows_are_one_page():
    (page,) = forest_pages(ipt.pool(make_effects(5)))
    single = ipt.forest_plot(ipt.pool(make_effects(5)))
    assert page.get_size_inches() == pytest.approx(single.get_size_inches())
    buffer = io.BytesIO()
    page.savefig(buffer, format="png")


@pytest.mark.parametrize("most", [0, 9, 20.5, True])
def test_impossible_page_lengths_are_refused(most):
    with pytest.raises(OptionError, match="rows_per_page"):
        forest_pages(ipt.pool(make_effects(5)), rows_per_page=most)
