"""Keep a job's history as it is stored, to be folded for ever after.

``python -m tests.replay.record URL TOKEN JOB > tests/replay/NAME.jsonl`` writes one stored
message a line, headers and body as the server has them.
"""

from __future__ import annotations

import asyncio
import base64
import sys

import msgspec
import nats

HEADERS_KEPT = ("ce-", "pytoon-", "traceparent")
"""Beginnings of the headers that the language of events knows."""


async def main(url: str, token: str, job_id: str) -> None:
    """Write the job's messages to standard output."""
    nc = await nats.connect(url, token=token)
    js = nc.jetstream()
    reader = await js.subscribe(f"pytoon.jobs.{job_id}.>", ordered_consumer=True)
    while True:
        try:
            message = await reader.next_msg(timeout=1)
        except nats.errors.TimeoutError:
            break
        headers = message.headers or {}
        kept = {
            "seq": message.metadata.sequence.stream,
            "subject": message.subject,
            "time_s": message.metadata.timestamp.timestamp(),
            "headers": {
                name: value
                for name, value in headers.items()
                if name.lower().startswith(HEADERS_KEPT)
            },
            "body": base64.b64encode(message.data).decode(),
        }
        sys.stdout.write(msgspec.json.encode(kept).decode() + "\n")
    await nc.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
