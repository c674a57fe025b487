"""Owns what comes by a path or a method that is no door's: a known sender's is kept, anybody else finds nothing."""

from starlette.types import Receive, Scope, Send

from service.intake import Intake
from service.web.public.doors import taken, taken_whole, vouch
from service.web.render import send_stray
from service.web.routing import healthz, nothing_there
from service.web.wire.known_clients import KNOWN_CLIENT

_ASKING = frozenset({"HEAD", "OPTIONS", "TRACE"})  # methods by which nobody reports anything (RFC 9110, 9.2.1)


class StrayDoor:
    """Keeps the postbacks that missed their doors."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Receive what came by another path or method."""
        if not await self._kept(scope, receive, send):
            await nothing_there(scope, receive, send)

    async def healthz(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say that the process answers, unless it is a postback with a wrong path."""
        if not (scope["query_string"] and await self._kept(scope, receive, send)):
            await healthz(scope, receive, send)

    async def _kept(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Receive and answer it if it is a known sender's; tell whether it is."""
        raw, credentials = taken(scope, b"")
        if raw.method in _ASKING or not self._intake.may_know(raw, credentials):
            return False
        if not raw.complete:
            raw, credentials = await taken_whole(scope, receive)
        verdict = await self._intake.receive_stray(raw, credentials)
        if verdict is None:
            return False
        if KNOWN_CLIENT in scope:
            vouch(scope, verdict)
        route = scope.pop("route", None)  # the answer is counted as that of no route
        await send_stray(send, verdict, raw.request_id, route.methods if route else ())
        return True
