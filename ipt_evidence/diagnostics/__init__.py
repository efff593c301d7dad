"""Is the answer robust? Influence, small-study effects, selection."""
