"""Owns the way to a database through SQLAlchemy, with the driver's errors told as StorageError."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from service.core.unavailable import StorageError


@dataclass(frozen=True, slots=True)
class Access:
    """An engine, and what an error of its driver means. Both ways in raise StorageError."""

    engine: Engine
    classify: Callable[[DBAPIError], StorageError]

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session to read in."""
        with self._told(), Session(self.engine) as session:
            yield session

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction, which is committed at the end."""
        with self._told(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self.classify(error) from error
