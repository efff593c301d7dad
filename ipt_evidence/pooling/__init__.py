"""Pooling: effects and variances in, fits out."""
