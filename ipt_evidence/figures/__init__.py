"""Figures of pooled results: a table of rows first, then a drawing of exactly those rows."""
