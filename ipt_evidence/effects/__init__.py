"""Effect sizes: formulas on arrays, conversions between scales and the front door ``effect_sizes``."""
