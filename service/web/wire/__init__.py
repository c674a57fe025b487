"""HTTP/1.1 on a connection: its bounds, its client, its end."""
