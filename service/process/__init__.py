"""One process or several: composition, sockets, start and end."""
