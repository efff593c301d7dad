"""Network of treatments.

Which treatments were compared with each other, in how many trials and participants.
"""

import ipt_evidence as ipt

effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
table = ipt.network_table(effects, condition="depression")
fit = ipt.network(table, reference="control")
figure = ipt.network_plot(fit, ranking=True)
