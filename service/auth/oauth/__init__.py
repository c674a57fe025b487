"""Bearer tokens: whose they are, by the keys of an OAuth 2.0 server."""
