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
# Nothing is installed later, so there is no pip where it runs.
RUN python -m venv --without-pip /opt/pytoon \
 && python -m pip --python /opt/pytoon/bin/python install --no-cache-dir -c constraints.txt '.[s3,sign,traces]'

FROM python:3.11-slim
# What skia links against; Chinese, Japanese and Korean come from the system, all other fonts ship.
# Mesa's drivers and their compiler come along, some 160 MB, and nothing here opens a display.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libegl1 libgl1 libfontconfig1 fonts-noto-cjk \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /usr/lib/*/dri /usr/lib/*/libLLVM* /usr/lib/*/libz3* \
 && useradd --uid 10001 --create-home pytoon
COPY --from=built /opt/pytoon /opt/pytoon
ENV PATH=/opt/pytoon/bin:$PATH PYTHONUNBUFFERED=1 PYTOON_HOME=/home/pytoon
USER pytoon
WORKDIR /home/pytoon
ENTRYPOINT ["pytoon"]
CMD ["--help"]
