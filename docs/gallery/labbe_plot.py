"""L'Abbé plot.

The share of participants with the event in one arm against that in the other.
"""

import ipt_evidence as ipt

studies = ipt.load_dataset("ipt")
events = studies[studies["events_1"].notna() & (studies["outcome"].str.contains("events = remitters"))]
fit = ipt.pool_binary(events, method="MH", measure="OR")
figure = ipt.labbe_plot(fit, event="remission")
