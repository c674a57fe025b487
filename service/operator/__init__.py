"""The operator listener: probes and metrics."""
