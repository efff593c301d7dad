"""Meta-regression.

Effects against a moderator, with the expected effect, its confidence and its prediction band.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
trials = acute[acute["condition"] == "depression"]
regression = ipt.meta_regression(trials, "~ n_sessions")
figure = ipt.bubble_plot(regression)
