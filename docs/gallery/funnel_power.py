"""Funnel plot with power.

The shades say how much power a trial of that size had to find the pooled effect (a sunset plot).
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "depression"], dependence="aggregate")
figure = ipt.funnel_plot(fit, power="sunset", pet_peese=True)
