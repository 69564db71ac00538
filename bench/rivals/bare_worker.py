"""A Celery app that only imports what ours builds on: the floor of a worker's memory."""

from __future__ import annotations

import os

import honcho
import sqlalchemy
import sqlalchemy.orm
from celery import Celery

app = Celery("bare", broker=os.environ.get("BENCH_REDIS_URL", "redis://"))
IMPORTED = (honcho, sqlalchemy.orm)
