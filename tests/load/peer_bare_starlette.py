"""The ceiling: ordinary Starlette handlers under uvicorn that store nothing and say Success.

`app` reads nothing; `reading` reads the two parameters, as the guide's handler does.
"""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def postback(_request: Request) -> PlainTextResponse:
    """Answer as a receiver would, without receiving anything."""
    return PlainTextResponse("Success")


async def reading_postback(request: Request) -> PlainTextResponse:
    """Answer as a receiver would that looks at what it received."""
    _ = request.query_params.get("c"), request.query_params.get("value")
    return PlainTextResponse("Success")


app = Starlette(routes=[Route("/postback", postback)])
reading = Starlette(routes=[Route("/postback", reading_postback)])
