"""Pages and tables for readers, written from fits."""
