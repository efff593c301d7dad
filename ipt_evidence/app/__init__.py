"""The explorer: a web page on which the evidence is chosen, pooled and looked at."""
