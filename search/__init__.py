"""One trial, the search space, the launch on Ray Tune, the result tables and the command line."""
