"""The row contract: what a table of trial results must look like, and how one is read, checked and selected from."""
