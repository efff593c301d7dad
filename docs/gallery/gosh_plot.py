"""GOSH plot.

The pooled effect and heterogeneity of many subsets of the trials; two hues show what one trial does.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "depression"], dependence="aggregate")
subsets = ipt.gosh(fit, subsets=20_000, seed=1)
figure = ipt.gosh_plot(subsets, highlight="Bolton 2003")
