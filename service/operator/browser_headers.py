"""Owns what the operator listener's answers tell a browser: make nothing of this but what it says it is.

Whoever runs the service opens these pages, and beside them the world's. Doors are for servers: there it would be bytes
for every postback and a use for none.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
}


class Shielded:
    """Middleware that adds HEADERS to each answer; what an answer says itself stands."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and complete the headers of its answer."""

        async def shielding(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message["headers"]}
                missing = [(name, value) for name, value in HEADERS.items() if name not in said]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        await self._app(scope, receive, shielding)
