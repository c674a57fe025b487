# The service as an image: a virtual environment from the hashed lock, the code, and a user that owns nothing but /data.
# The base is the Python series and the Debian release (so the SQLite) that the durability proofs run on.
ARG BASE=python:3.11.14-slim-bookworm

FROM ${BASE} AS build
COPY requirements.lock /opt/requirements.lock
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip --disable-pip-version-check --no-cache-dir install \
        --quiet --require-hashes --no-deps --requirement /opt/requirements.lock \
    && /opt/venv/bin/python -m pip --disable-pip-version-check check \
    && /opt/venv/bin/python -m pip --disable-pip-version-check uninstall --quiet --yes pip setuptools \
    && rm /opt/requirements.lock
COPY service /opt/app/service
# Compiled here, since nothing can be written where it runs.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/app/service

FROM ${BASE}
RUN groupadd --gid 10001 postback \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin postback \
    && install --directory --owner=10001 --group=10001 --mode=0750 /data
COPY --from=build /opt /opt

ARG REVISION=unknown
LABEL org.opencontainers.image.title="postback receiver" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.revision="${REVISION}"
# A container is reached from outside, so the public listener is on every address of it. AUTH is left at auto on purpose:
# without an API key such a start is refused with the reason. Whoever publishes the port on loopback only may say
# POSTBACK_AUTH=open, as docker-compose.yml does. The operator listener stays on the container's own loopback.
ENV PATH="/opt/venv/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    POSTBACK_HOST=0.0.0.0 \
    POSTBACK_DATABASE_URL=sqlite:////data/postback.db \
    POSTBACK_SPOOL_DIR=/data/spool \
    POSTBACK_LOG_FORMAT=json \
    POSTBACK_REVISION="${REVISION}"
WORKDIR /opt/app
USER 10001:10001
VOLUME /data
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; operator = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('POSTBACK_OPERATOR_PORT', '8001')), timeout=2); operator.request('GET', '/healthz'); sys.exit(operator.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "service"]
CMD ["run"]
