"""System tests: they drive the running service from outside and import nothing of it."""
