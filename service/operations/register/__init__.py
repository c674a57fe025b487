"""Senders, their API keys and their signing secrets: registered, changed, ended, and told."""
