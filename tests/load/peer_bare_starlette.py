"""The ceiling: an ordinary Starlette handler under uvicorn that reads nothing, stores nothing and says Success."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def postback(_request: Request) -> PlainTextResponse:
    """Answer as a receiver would, without receiving anything."""
    return PlainTextResponse("Success")


app = Starlette(routes=[Route("/postback", postback)])
