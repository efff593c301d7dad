"""Influence.

Eight measures of what leaving out a trial does, one row per trial.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.pool(acute[acute["condition"] == "depression"], dependence="aggregate")
figure = ipt.influence_plot(fit)
