"""The command `send`: postbacks sent to a URL, as many and as fast as asked for."""
