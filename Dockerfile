# syntax=docker/dockerfile:1
# The images of a distributed service, one a target: api, worker, sampler, grader. docs/deploy.md says how they run together.
#
#   docker build --target api -t touchstone-api .
#   docker build --target worker -t touchstone-worker-cuda --build-arg TORCH_INDEX=https://pypi.org/simple .
#
# Versions are those of requirements.lock. Build tools stay in the stages that end on `-build`.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# What every final image begins with: an interpreter, a user without rights, the directories that become volumes.
FROM ${PYTHON_IMAGE} AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN groupadd --gid 10001 touchstone \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/touchstone --no-create-home --shell /usr/sbin/nologin touchstone \
    && install -d -o touchstone -g touchstone -m 0750 /var/lib/touchstone /var/lib/touchstone/models /run/grader

# Everything but torch, in /opt/venv.
FROM ${PYTHON_IMAGE} AS api-build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /src
COPY pyproject.toml requirements.lock ./
COPY deploy/requirements.py deploy/
RUN python deploy/requirements.py tracing > /tmp/requirements.txt \
    && /opt/venv/bin/pip install --constraint requirements.lock --requirement /tmp/requirements.txt
COPY README.md LICENSE ./
COPY api api
COPY cli cli
COPY core core
COPY graders graders
COPY migrations migrations
COPY worker worker
# setuptools is for the archive that WordNet comes in, and goes again.
RUN /opt/venv/bin/pip install --no-deps . \
    && /opt/venv/bin/pip install --constraint requirements.lock setuptools \
    && /opt/venv/bin/python -m graders.wordnet \
    && /opt/venv/bin/pip uninstall --yes setuptools

# The same with torch: the build for CPUs, or the one for CUDA, which is what https://pypi.org/simple has.
FROM api-build AS worker-build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python deploy/requirements.py torch --only > /tmp/requirements-torch.txt \
    && /opt/venv/bin/pip install --extra-index-url "${TORCH_INDEX}" --constraint requirements.lock \
        --requirement /tmp/requirements-torch.txt

# The interpreter of python graders, apart from the service's own.
FROM api-build AS grader-build
RUN python -m venv /opt/grader \
    && /opt/grader/bin/pip install --requirement graders/sandbox/image-2025-05-08.txt \
    && /opt/venv/bin/pip install --constraint requirements.lock setuptools \
    && /opt/venv/bin/python -m graders.corpora /opt/grader

# API, scheduler, light worker, migrations: no torch.
FROM base AS api
COPY --from=api-build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    RFT_HOST=0.0.0.0 \
    RFT_PORT=8000 \
    RFT_DATA_DIR=/var/lib/touchstone
USER touchstone
WORKDIR /var/lib/touchstone
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
CMD ["rft", "api"]

# Runs jobs. Also fetches base models (`rft models fetch`).
FROM base AS worker
COPY --from=worker-build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    RFT_DATA_DIR=/var/lib/touchstone \
    RFT_METRICS_PORT=9100 \
    HF_HOME=/var/lib/touchstone/models/.huggingface
USER touchstone
WORKDIR /var/lib/touchstone
EXPOSE 9100
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9100/livez', timeout=4)"]
CMD ["rft", "worker", "--queue", "gpu"]

# Serves base and tuned models to API processes and judges.
FROM worker AS sampler
EXPOSE 8001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8001/livez', timeout=4)"]
CMD ["rft", "sampler", "--host", "0.0.0.0", "--port", "8001"]

# Runs python graders and programs: the sandbox's own modules, which need the standard library alone, and the graders' interpreter.
FROM base AS grader
COPY --from=grader-build /opt/grader /opt/grader
COPY core/__init__.py core/errors.py core/processes.py /opt/touchstone/core/
COPY graders/__init__.py graders/base.py /opt/touchstone/graders/
COPY graders/sandbox /opt/touchstone/graders/sandbox
ENV PYTHONPATH=/opt/touchstone
USER touchstone
WORKDIR /var/lib/touchstone
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=6 \
    CMD ["python", "-P", "-m", "graders.sandbox.health", "/run/grader/socket"]
CMD ["python", "-P", "-m", "graders.sandbox.server", "/run/grader/socket", "--service", "--python", "/opt/grader/bin/python"]
