"""Owns what the application tells the server of a client: that it showed a good credential.

It is an extension of ASGI: a function in the scope, which the application calls in any request of a connection. From
then on the connection's client is known, and has a reserve of places (bounds.py); the extension is in no further scope.
"""

from starlette.types import Scope

KNOWN_CLIENT = "postback.known_client"


def awaits_voucher(scope: Scope) -> bool:
    """Tell whether the server wants to know that the client is known, and does not know it yet."""
    return "extensions" in scope and KNOWN_CLIENT in scope["extensions"]


def vouch_for_client(scope: Scope) -> None:
    """Tell the server, if it wants to know, that who sent this request has shown a good credential."""
    if awaits_voucher(scope):
        scope["extensions"][KNOWN_CLIENT]()
