"""PRISMA 2020 flow diagram.

From the numbers of a search; those here are invented.
"""

import ipt_evidence as ipt

figure = ipt.prisma_flow(
    {
        "databases": {"PubMed": 812, "PsycINFO": 440},
        "duplicates_removed": 252,
        "records_screened": 1000,
        "records_excluded": 900,
        "reports_sought": 100,
        "reports_not_retrieved": 2,
        "reports_assessed": 98,
        "reports_excluded": {"not randomised": 40, "no IPT": 20},
        "studies_included": 36,
        "reports_included": 38,
    }
)
