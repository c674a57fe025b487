"""Owns the stand-in for an issuer: documents by URL, how often each was asked for, and ways to fail; and its clock."""

import asyncio

from service.auth.oauth.discovery import CannotRead


def loop_time() -> float:
    """Tell the time of the loop, which a test can move."""
    return asyncio.get_running_loop().time()


class Documents:
    """What can be fetched. A document that is an error is raised; while the gate is closed, fetching takes its time."""

    def __init__(self, **documents: bytes | Exception) -> None:
        self.by_url: dict[str, bytes | Exception] = dict(documents)
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, url: str) -> bytes:
        """Return the document of this URL."""
        self.asked.append(url)
        await self.gate.wait()
        document = self.by_url.get(url, CannotRead("the answer is HTTP 404; only 200 is taken"))
        if isinstance(document, Exception):
            raise document
        return document
