# One image for migrations, workers, Flower, the stand-in for Honcho and agents:
# the command says which. It holds no configuration and no secret.

FROM python:3.14-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /src

# Dependencies in a layer of their own, which changes with the lock only.
COPY requirements-build.lock requirements.lock ./
RUN pip install --require-hashes --only-binary :all: --requirement requirements-build.lock \
    && python -m venv --without-pip /opt/afterturn \
    && pip --python /opt/afterturn/bin/python install \
        --require-hashes --only-binary :all: --requirement requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY agent agent
COPY worker worker
COPY sandbox sandbox
COPY alembic alembic
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip --python /opt/afterturn/bin/python install --no-deps --no-index /wheels/*.whl


FROM python:3.14-slim-trixie

ENV PATH=/opt/afterturn/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/data

# A number, not a name, so that Kubernetes can see that it is not root.
RUN groupadd --gid 10001 afterturn \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home \
        --shell /usr/sbin/nologin afterturn \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data

COPY --from=build /opt/afterturn /opt/afterturn

USER 10001:10001
WORKDIR /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["afterturn"]
CMD ["--help"]
