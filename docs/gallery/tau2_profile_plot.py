"""Profile likelihood of tau2.

How well the trials tell how much their true effects differ.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
figure = ipt.tau2_profile_plot(ipt.pool(acute[acute["condition"] == "depression"]))
