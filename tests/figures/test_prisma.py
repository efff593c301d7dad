import numpy as np
import pytest

from ipt_evidence.errors import EvidenceWarning, OptionError
from ipt_evidence.figures.output import figure_alt_text
from ipt_evidence.figures.prisma import prisma_flow
from ipt_evidence.figures.prisma_counts import read_flow

from .plotting_checks import problems, words_of

PLAIN = {
    "databases": {"PubMed": 812, "PsycINFO": 440},
    "registers": 48,
    "duplicates_removed": 252,
    "other_removed": 48,
    "records_screened": 1000,
    "records_excluded": 900,
    "reports_sought": 100,
    "reports_not_retrieved": 2,
    "reports_assessed": 98,
    "reports_excluded": {"not randomised": 40, "no arm with interpersonal psychotherapy": 20},
    "studies_included": 36,
    "reports_included": 38,
}
WHOLE = PLAIN | {
    "websites": 3,
    "organisations": 2,
    "citation_searching": 25,
    "other_reports_sought": 30,
    "other_reports_not_retrieved": 1,
    "other_reports_assessed": 29,
    "other_reports_excluded": 25,
    "studies_included": 40,
    "reports_included": 42,
    "previous_studies": 95,
    "total_studies": 135,
}


def boxes(fig):
    return [p.get_window_extent() for p in fig.axes[0].patches if type(p).__name__ == "Rectangle"]


@pytest.mark.parametrize("width", [80, 180])
@pytest.mark.parametrize("counts", [PLAIN, WHOLE])
def test_texts_stay_in_their_boxes(counts, width):
    fig = prisma_flow(counts, width_mm=width)
    assert problems(fig) == []
    renderer = fig.canvas.get_renderer()
    places = np.array([b.extents for b in boxes(fig)])
    for text in fig.axes[0].texts:
        own = text.get_window_extent(renderer).extents
        inside = (places[:, :2] <= own[:2] + 1).all(axis=1) & (own[2:] <= places[:, 2:] + 1).all(axis=1)
        assert inside.any(), text.get_text()


def test_boxes_do_not_overlap():
    fig = prisma_flow(WHOLE)
    found = boxes(fig)
    for i, a in enumerate(found):
        for b in found[i + 1 :]:
            assert a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1


def test_numbers_are_written():
    words = words_of(prisma_flow(WHOLE))
    for text in ("(n = 1,252)", "PubMed (n = 812)", "(n = 1,000)", "Reports excluded (n = 60):", "(n = 135)"):
        assert text in words


def test_alt_text():
    said = figure_alt_text(prisma_flow(WHOLE))
    assert said == (
        "PRISMA 2020 flow: 1,300 records identified, 1,000 screened, 98 reports assessed, 40 studies included (in 42 "
        "reports). 900 records and 60 reports were excluded; other methods found 30 records; the review now has 135 "
        "studies."
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"records_screened": 990}, r"identified - removed = 1,000, but records_screened = 990"),
        ({"records_excluded": 910}, r"= 90, but reports_sought = 100"),
        ({"reports_not_retrieved": 0}, r"= 100, but reports_assessed = 98"),
        ({"reports_excluded": 61}, r"= 41, but reports_included = 42"),
        ({"other_reports_not_retrieved": 0}, r"= 30, but other_reports_assessed = 29"),
        ({"studies_included": 43, "total_studies": 138}, r"43 studies are included from 42 reports"),
        ({"total_studies": 130}, r"= 135, but total_studies = 130"),
    ],
)
def test_sums_that_do_not_add_up_are_said(change, said):
    with pytest.warns(EvidenceWarning, match=said):
        prisma_flow(WHOLE | change)


def test_sums_that_add_up_are_silent():
    assert read_flow(PLAIN).mismatches == ()
    assert read_flow(WHOLE).mismatches == ()


def test_everything_wrong_is_said_at_once():
    wrong = {"database": 3, "records_screened": -1, "reports_excluded": {"x": 2.5}, "websites": True}
    with pytest.raises(OptionError) as caught:
        prisma_flow(wrong)
    message = str(caught.value)
    for part in (
        "did you mean 'databases'",
        "'studies_included' is missing",
        "'other_reports_sought' is missing",
        "received -1",
        "'reports_excluded', 'x'",
        "received True",
    ):
        assert part in message


def test_only_some_counts_come_in_parts():
    with pytest.raises(OptionError, match="'records_excluded' is one number"):
        prisma_flow(PLAIN | {"records_excluded": {"title": 900}})
    with pytest.raises(OptionError, match="mapping"):
        prisma_flow([1, 2])


def test_whole_numbers_of_any_type_are_read():
    assert read_flow(PLAIN | {"registers": 48.0}).total("registers") == 48
