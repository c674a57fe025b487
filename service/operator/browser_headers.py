"""Owns the security headers of the operator listener's answers: a browser must not interpret, embed or share them.

Operators open these pages in the same browser as the rest of the web. The public doors serve servers, not browsers:
there these headers would only cost bytes.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"content-security-policy": b"default-src 'none'",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
}


class BrowserHeaders:
    """Middleware that adds HEADERS to each answer; headers that the answer has already stay as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and complete the headers of its answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                missing = [(name, value) for name, value in HEADERS.items() if name not in present]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        await self._app({**scope, "extensions": {}}, receive, send_with_headers)  # whole answers would pass by them
