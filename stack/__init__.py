"""The service with Prometheus, Alertmanager and a receiver of pages, from local binaries and without Docker."""
