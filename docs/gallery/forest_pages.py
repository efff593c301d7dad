"""More rows than a page holds.

Pages share the axis and the headers; this is the second of those of depression.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "depression"], dependence="aggregate")
pages = ipt.forest_pages(fit, rows_per_page=20)
figure = pages[1]
