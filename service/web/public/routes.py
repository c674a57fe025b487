"""Owns the route table of the public listener."""

from service.core.postback import BATCH_PATH, HEALTH_PATH, PIXEL_PATH, POSTBACK_PATHS
from service.web.public.batches import BatchDoor
from service.web.public.doors import PixelDoor, PostbackDoor
from service.web.public.strays import StrayDoor
from service.web.routing import PROBING, ExactRoute


def public_routes(door: PostbackDoor, pixel: PixelDoor, batch: BatchDoor, stray: StrayDoor) -> list[ExactRoute]:
    """Doors, and liveness; nothing else is shown to the world (law 7)."""
    return [
        *(ExactRoute(path, {"GET": door.get, "POST": door.post}) for path in POSTBACK_PATHS),
        ExactRoute(PIXEL_PATH, {"GET": pixel.get}),
        ExactRoute(BATCH_PATH, {"POST": batch.post}),
        ExactRoute(HEALTH_PATH, dict.fromkeys(PROBING, stray.healthz)),
    ]
