"""The socket: what it tells, and that nothing depends on it."""

from __future__ import annotations

import asyncio
import json
import struct
import time

import pytest

from adapters.comfyui.listening import PREVIEW_BYTES_MAX, Listener
from tests.adapters.comfyui.bench import of_somebody_else, until
from tests.comfy.server import ComfyServer

OPEN_S = 30.0


def listening(server: ComfyServer) -> Listener:
    """A listener for what ``enqueue`` queues."""
    return Listener(server.url, "somebody-else", open_s=OPEN_S)


async def test_it_tells_how_far_it_is(server: ComfyServer) -> None:
    """Share by share, to the end."""
    server.steps, server.step_s = 10, 0.05
    async with listening(server) as listener:
        item = server.enqueue(of_somebody_else())
        listener.prompt_id = item.prompt_id
        shares = []
        while not listener.ended.is_set():
            shares.append(listener.share)
            await asyncio.sleep(0.01)
    assert sorted(shares) == shares
    assert len(set(shares)) > 3
    assert 1.0 == listener.share
    assert listener.heard_s > 0


async def test_other_prompts_are_not_heard(server: ComfyServer) -> None:
    """Without a client's id progress goes to everybody."""
    async with listening(server) as listener:
        listener.prompt_id = "ours"
        item = server.enqueue(of_somebody_else())
        await until(lambda: item.status == "completed")
        await asyncio.sleep(0.1)
    assert (0.0, 0.0, False) == (listener.share, listener.heard_s, listener.ended.is_set())


async def test_it_comes_back_after_a_restart(server: ComfyServer) -> None:
    """A broken socket is opened again."""
    async with listening(server) as listener:
        assert listener.connected
        await server.kill()
        await until(lambda: not listener.connected)
        await server.restart()
        await until(lambda: listener.connected)


async def test_nobody_waits_for_a_socket_that_cannot_be(server: ComfyServer) -> None:
    """Refused, it is done without at once."""
    server.no_sockets = True
    started_s = time.monotonic()
    async with listening(server) as listener:
        assert not listener.connected
    assert time.monotonic() - started_s < OPEN_S / 2


async def test_what_makes_no_sense_is_passed_over(server: ComfyServer) -> None:
    """Previews, lists, and shares of nothing."""
    async with listening(server) as listener:
        listener.prompt_id = "ours"
        (socket,) = server.sockets.values()
        socket.send_binary(b"\x00\x00\x00\x01\x00\x00\x00\x01picture")
        socket.send_text("no JSON")
        socket.send_text(json.dumps([1, 2]))
        for value, total in ((1, 0), ("x", 2), (None, None)):
            data = {"prompt_id": "ours", "value": value, "max": total}
            socket.send("progress", data)
        await until(lambda: listener.heard_s)
        socket.send("progress", {"prompt_id": "ours", "value": 5, "max": 2})
        await until(lambda: listener.share)
    assert 1.0 == listener.share


PNG, JPEG = b"\x89PNG\r\n", b"\xff\xd8\xff"
OURS, THEIRS = b'{"prompt_id": "ours"}', b'{"prompt_id": "theirs"}'


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("image/jpeg", struct.pack(">II", 1, 1) + JPEG + b"rest"),
        ("image/png", struct.pack(">II", 1, 2) + PNG + b"rest"),
        ("image/jpeg", struct.pack(">II", 4, len(OURS)) + OURS + JPEG + b"rest"),
        (None, struct.pack(">II", 4, len(THEIRS)) + THEIRS + JPEG + b"rest"),
        (None, struct.pack(">II", 4, 2**31) + OURS + JPEG + b"rest"),
        (None, struct.pack(">II", 2, 1) + JPEG + b"rest"),
        (None, struct.pack(">II", 1, 1) + b"<svg onload=x>"),
        (None, struct.pack(">II", 1, 1) + JPEG + bytes(PREVIEW_BYTES_MAX)),
        (None, b"\x00"),
        (None, b""),
    ],
)
async def test_previews(expected: str | None, message: bytes, server: ComfyServer) -> None:
    """A picture of our own prompt, of a kind that browsers show, and not too large."""
    async with listening(server) as listener:
        listener.prompt_id = "ours"
        (socket,) = server.sockets.values()
        socket.send_binary(message)
        socket.send("progress", {"prompt_id": "ours", "value": 1, "max": 2})
        await until(lambda: listener.share)
        assert expected == (listener.preview.media_type if listener.preview else None)
        if listener.preview is not None:
            assert listener.preview.content.endswith(b"rest")
            assert listener.preview.content.startswith((PNG, JPEG))
