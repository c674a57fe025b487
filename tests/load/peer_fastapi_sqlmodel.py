"""The tutorials' way: FastAPI, an SQLModel table, and a session a request that commits and refreshes."""

import os
from collections.abc import Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse
from sqlmodel import Field, Session, SQLModel, create_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

engine = create_engine(os.environ["PEER_DATABASE_URL"])


class Conversion(SQLModel, table=True):
    """One conversion, as the tutorials model a row."""

    id: int | None = Field(default=None, primary_key=True)
    click_id: str = Field(unique=True, index=True)
    value: Decimal


def session() -> Iterator[Session]:
    """Give each request a session of its own."""
    with Session(engine) as opened:
        yield opened


@asynccontextmanager
async def lifespan(_app: FastAPI) -> "AsyncIterator[None]":
    """Create the table before the first request."""
    SQLModel.metadata.create_all(engine)
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/postback")
def postback(c: str, value: Decimal, opened: Annotated[Session, Depends(session)]) -> PlainTextResponse:
    """Store one conversion and read it back.

    It returns a finished response on purpose. A returned model is serialised in the thread pool while its session
    still holds a connection, and above 40 requests at once the two pools (40 threads, 15 connections) wait for each
    other until the 30-second time-out: measured as tutorials write it, this peer would answer nothing at all.
    """
    conversion = Conversion(click_id=c, value=value)
    opened.add(conversion)
    opened.commit()
    opened.refresh(conversion)
    return PlainTextResponse("Success")
