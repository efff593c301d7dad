"""One pooled effect.

Every trial of IPT against control in anxiety, the pooled effect and what a new trial may find.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "anxiety"], dependence="aggregate")
figure = ipt.forest_plot(fit)
