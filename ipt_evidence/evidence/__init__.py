"""The evidence itself: analyses that answer the questions of the psychotherapy literature."""
