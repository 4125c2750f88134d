# Pytoon's services, the gateway and the command line; which of them runs is the command.
FROM python:3.11-slim AS built
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY events events
COPY config config
COPY assembler assembler
COPY adapters adapters
COPY services services
COPY schemas schemas
RUN python -m venv /opt/pytoon && /opt/pytoon/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:3.11-slim
# What skia links against; Chinese, Japanese and Korean come from the system, all other fonts ship.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libegl1 libgl1 libfontconfig1 fonts-noto-cjk \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home pytoon
COPY --from=built /opt/pytoon /opt/pytoon
ENV PATH=/opt/pytoon/bin:$PATH PYTHONUNBUFFERED=1 PYTOON_HOME=/home/pytoon
USER pytoon
WORKDIR /home/pytoon
ENTRYPOINT ["pytoon"]
CMD ["--help"]
