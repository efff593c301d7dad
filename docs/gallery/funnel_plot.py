"""Funnel plot.

Effects against their precision, on shades of significance, with the trials that trim and fill adds and Egger's line.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "depression"], dependence="aggregate")
figure = ipt.funnel_plot(fit, trim_and_fill=True, egger=True)
