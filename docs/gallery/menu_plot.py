"""The usual sensitivity analyses.

The pooled effect under each of the standard analyses.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
menu = ipt.analysis_menu(acute[acute["condition"] == "depression"])
figure = ipt.menu_plot(menu)
