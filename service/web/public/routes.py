"""Owns the route table of the public listener."""

from starlette.routing import request_response

from service.core.postback import BATCH_PATH, PIXEL_PATH, POSTBACK_PATHS
from service.web.public.batches import BatchDoor
from service.web.public.doors import PixelDoor, PostbackDoor
from service.web.routing import PROBING, ExactRoute, healthz


def public_routes(door: PostbackDoor, pixel: PixelDoor, batch: BatchDoor) -> list[ExactRoute]:
    """Doors, and liveness; nothing else is shown to the world (law 7)."""
    return [
        *(ExactRoute(path, {"GET": door.get, "POST": door.post}) for path in POSTBACK_PATHS),
        ExactRoute(PIXEL_PATH, {"GET": pixel.get}),
        ExactRoute(BATCH_PATH, {"POST": batch.post}),
        ExactRoute("/healthz", dict.fromkeys(PROBING, request_response(healthz))),
    ]
