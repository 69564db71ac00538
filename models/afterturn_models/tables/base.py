"""The declarative base: naming conventions, shared column types, UTC everywhere."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, MetaData, Text, func, text
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import DeclarativeBase, mapped_column

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Base(DeclarativeBase):
    """Base of every table."""

    metadata = metadata
    type_annotation_map = {  # noqa: RUF012 - the shape that SQLAlchemy documents
        str: Text,
        int: BigInteger,
        uuid.UUID: UUID(as_uuid=True),
        dt.datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
    }


Serial = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
Instant = Annotated[dt.datetime, mapped_column(server_default=func.clock_timestamp())]
JsonObject = Annotated[dict[str, Any], mapped_column(JSONB, server_default=text("'{}'::jsonb"))]
WorkspaceId = Annotated[int, mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"))]
SessionId = Annotated[uuid.UUID, mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))]
