"""Whether servers have what is needed, found out before a film asks."""

from __future__ import annotations

from pathlib import Path

from adapters.comfyui.checking import ServerReport, check, prove
from adapters.comfyui.options import ComfyOptions
from adapters.comfyui.workflows import load_workflow
from adapters.workers import WorkerPool
from tests.comfy.server import ComfyServer

NAMES = ("wan22_5b_t2v", "wan22_5b_i2v", "wan21_t2v", "ltxv_t2v", "ltxv_i2v", "proof_picture")


async def report_on(server: ComfyServer, *names: str) -> ServerReport:
    """What is found at one server."""
    options = ComfyOptions(servers=(server.url,), request_s=10.0)
    (report,) = await check(options, [load_workflow(name) for name in names])
    return report


async def test_all_is_there(server: ComfyServer) -> None:
    """Every workflow that ships, on a server that has the models; nothing was queued."""
    report = await report_on(server, *NAMES)
    assert [()] * len(NAMES) == [one.problems for one in report.workflows]
    assert (True, "0.33.0", "") == (report.ok, report.version, report.problem)
    assert {} == server.items


async def test_an_old_server_that_has_it_all(tmp_path: Path) -> None:
    """The dry run is the same there."""
    server = await ComfyServer(tmp_path, old=True).start()
    report = await report_on(server, *NAMES)
    assert report.ok
    assert {} == server.items
    await server.kill()


async def test_a_missing_model_is_told_once(server: ComfyServer) -> None:
    """With its folder, as a person has to put it there."""
    server.models["vae"].remove("wan2.2_vae.safetensors")
    report = await report_on(server, "wan22_5b_t2v")
    assert ("models/vae/wan2.2_vae.safetensors is missing",) == report.workflows[0].problems
    assert not report.ok


async def test_a_missing_folder(server: ComfyServer) -> None:
    """A server that knows no such folder lacks what is in it."""
    del server.models["diffusion_models"]
    (problem,) = (await report_on(server, "wan21_t2v")).workflows[0].problems
    assert "models/diffusion_models/wan2.1_t2v_1.3B_fp16.safetensors is missing" == problem


async def test_a_missing_class(server: ComfyServer) -> None:
    """A node that is not installed."""
    del server.classes["Wan22ImageToVideoLatent"]
    report = await report_on(server, "wan22_5b_i2v")
    assert ("the node class Wan22ImageToVideoLatent is missing",) == report.workflows[0].problems


async def test_a_server_that_is_too_old(server: ComfyServer) -> None:
    """Version by version, as numbers: 0.3.9 is older than 0.3.64."""
    server.version = "0.3.9"
    (problem,) = (await report_on(server, "wan22_5b_t2v")).workflows[0].problems
    assert "needs ComfyUI 0.3.64 or newer, not 0.3.9" == problem


async def test_a_fault_that_only_the_server_knows(server: ComfyServer) -> None:
    """The dry run tells what its own checks say."""
    server.classes["CreateVideo"] = {
        **server.classes["CreateVideo"],
        "input": {
            **server.classes["CreateVideo"]["input"],
            "required": {
                **server.classes["CreateVideo"]["input"]["required"],
                "licence": ["STRING", {}],
            },
        },
    }
    problems = (await report_on(server, "proof_words")).workflows[0].problems
    assert any("Required input is missing: licence" in problem for problem in problems)


async def test_no_server(server: ComfyServer) -> None:
    """It says so, and no more."""
    await server.kill()
    report = await report_on(server, "proof_words")
    assert not report.ok
    assert server.url in report.problem
    assert () == report.workflows


async def test_a_proof(server: ComfyServer, workers: WorkerPool) -> None:
    """A clip without any model: made, fetched and read; twice, for a cache would answer."""
    options = ComfyOptions(servers=(server.url,), request_s=10.0, poll_s=0.05)
    for _ in range(2):
        (report,) = await prove(options, await check(options, []), workers)
        assert ("", True) == (report.proof, report.ok)
    assert 2 == len(server.posted)
    server.runs = ["error"]
    (report,) = await prove(options, await check(options, []), workers)
    assert not report.ok
    assert "shape mismatch" in str(report.proof)
