"""The way to the disk: group commit, where commits run, readiness, and how long things are kept."""
