# The importer as an image: `docker build -t importer .`, then any command (`docker run importer import --help`), or a function:
# `docker run --entrypoint functions-framework importer --target=pubsub_import --port=8080`.
FROM python:3.13-slim AS build
RUN python -m venv /venv
WORKDIR /build
COPY requirements.txt .
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home importer
COPY --from=build /venv /venv
WORKDIR /app
COPY main.py ./
COPY importer importer
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/app
USER 10001
WORKDIR /home/importer
ENTRYPOINT ["python", "-m", "importer"]
