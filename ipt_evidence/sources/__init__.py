"""Where data come from: the data sets that come with the package, and files of the user."""
