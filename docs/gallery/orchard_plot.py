"""Orchard plot.

All trials as bubbles, with the mean, its confidence and its prediction interval, by group.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
trials = acute[acute["condition"] == "depression"]
figure = ipt.orchard_plot(ipt.pool_by(trials, "population_group", dependence="aggregate"))
