"""Albatross plot.

For trials of which only a p-value and the number of participants are known.
"""

from scipy.stats import norm

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
trials = ipt.pool(acute[acute["condition"] == "depression"], dependence="aggregate").studies
z = trials["effect"] / trials["std_error"]
table = trials.assign(p_value=2 * norm.sf(abs(z)), n=trials["n_1"] + trials["n_2"], direction=z)
figure = ipt.albatross_plot(table[table["n"].notna()], favours=("control", "IPT"))
