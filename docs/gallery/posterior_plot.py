"""Bayesian meta-analysis.

What is believed of the mean effect, of the effect in a new trial and of heterogeneity.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
fit = ipt.bayes(acute[acute["condition"] == "anxiety"])
figure = ipt.posterior_plot(fit)
