"""Owns what the application tells the server of a client: that it showed a good credential.

The scope has a function for it, as long as the client is not known. The application calls it in any request of a
connection. From then on the connection's client is known, and has a reserve of places (bounds.py).
"""

from starlette.types import Scope

KNOWN_CLIENT = "postback.known_client"


def vouch_for_client(scope: Scope) -> None:
    """Tell the server, if it wants to know, that who sent this request has shown a good credential."""
    if KNOWN_CLIENT in scope:
        scope[KNOWN_CLIENT]()
