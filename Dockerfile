# Image of the server. Ollama runs in another container or on the host:
#
#   docker build -t qwen3-vl-server .
#   docker run -p 127.0.0.1:8000:8000 -e API_KEY=... -e OLLAMA_HOST=http://ollama:11434 qwen3-vl-server
#   docker stop -t 130 ...      # finishes running requests: DRAIN_TIMEOUT_S is 120
#
# With --build-arg REQUIREMENTS=requirements-embedded.txt the image also holds the embedded engine for
# machines without a GPU; run it as `python -m app.embedded`.
#
# The base image is referenced by tag. To pin it, append @ and the digest that
# `docker buildx imagetools inspect python:3.12-slim-bookworm` prints.
FROM python:3.12-slim-bookworm
ARG REQUIREMENTS=requirements.txt
ENV HOST=0.0.0.0 PORT=8000 LOG_FORMAT=json PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1
WORKDIR /app
COPY requirements*.txt ./
RUN pip install --require-hashes -r "$REQUIREMENTS" && useradd --system --uid 10001 vlm
COPY server.py ./
COPY app ./app
USER 10001
EXPOSE 8000
HEALTHCHECK --start-period=30s --start-interval=1s --timeout=5s CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/health'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["python", "server.py"]
