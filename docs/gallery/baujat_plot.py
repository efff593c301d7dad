"""Baujat plot.

Which trials add most to heterogeneity, and which move the pooled effect.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "depression"], dependence="aggregate")
figure = ipt.baujat_plot(fit)
