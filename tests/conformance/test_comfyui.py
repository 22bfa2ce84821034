"""ComfyUI and its workflows. There is no client library of it: these tests rest on its documentation
(https://docs.comfy.org/development/comfyui-server/comms_routes) and say so in their names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from openpollen.catalog.load import load_catalog
from openpollen.core.assets import Asset, ImageRequest, JobState, Media, VideoRequest
from openpollen.core.errors import BadRequest
from openpollen.core.model import Capability, Provider, Route
from openpollen.outbound.message import Outgoing
from openpollen.providers.adapter import adapters
from openpollen.providers.comfyui_workflow import FOLDER, BadWorkflow, load, parse
from openpollen.providers.failures import Failure
from tests.conformance.captures import without_secret
from tests.fakeprovider import parse_form

#: What these tests prove, by wire and operation: the captured requests that ours are compared with, or "documentation".
PROVES = {
    "comfyui/image": ("documentation",),
    "comfyui/edit": ("documentation",),
    "comfyui/video": ("documentation",),
}

adapter = adapters()["comfyui"]
HOST = Provider("comfyui", "comfyui", "http://gpu-1:8188", "proxy-secret-key")
FLUX, ZIMAGE, KLEIN, LTX = (
    Route("comfyui", name) for name in ("FLUX.1-schnell", "Z-Image-Turbo", "FLUX.2-klein-4B", "LTX-2.3")
)
JOB = "b3f1c1de-0000-4a3f-8a5e-2b9d1c3e4f50"
A, B = Asset(b"first picture", "image/png", "a.png"), Asset(b"second picture", "image/jpeg")


def graph(out: Outgoing) -> dict[str, dict[str, Any]]:
    assert (out.method, out.url) == ("POST", "http://gpu-1:8188/prompt")
    assert isinstance(out.body, bytes)
    sent = json.loads(out.body)
    assert sent.keys() == {"prompt"}
    return sent["prompt"]


def picture(route: Route = FLUX, uploaded: tuple[str, ...] = (), **more: Any) -> dict[str, dict[str, Any]]:
    fields: dict[str, Any] = {"prompt": "a fox", "seed": 1}
    return graph(adapter.encode_image(ImageRequest(**(fields | more)), route, HOST, uploaded))


def film(route: Route = LTX, **more: Any) -> dict[str, dict[str, Any]]:
    fields: dict[str, Any] = {"prompt": "waves", "seed": 1}
    return graph(adapter.encode_video(VideoRequest(**(fields | more)), route, HOST))


def inputs(nodes: dict[str, dict[str, Any]], kind: str) -> dict[str, Any]:
    [found] = [node["inputs"] for node in nodes.values() if node["class_type"] == kind]
    return found


def links(node: dict[str, Any]) -> Iterator[str]:
    return (str(value[0]) for value in node["inputs"].values() if type(value) is list)


def own(folder: Path, nodes: dict[str, Any]) -> Route:
    """A workflow of the operator's own."""
    path = folder / "own.json"
    path.write_text(json.dumps(nodes), "utf-8")
    return Route("comfyui", str(path))


SAVE = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}


def test_every_route_of_the_catalogue_has_a_workflow() -> None:
    routes = [route for model in load_catalog().models for route in model.routes if route.provider == "comfyui"]
    assert {f"{route.model.lower()}.json" for route in routes} == {file.name for file in FOLDER.glob("*.json")}
    assert all(load(route.model).slots >= {"prompt", "width", "height", "seed"} for route in routes)


@pytest.mark.parametrize("route", [FLUX, ZIMAGE, KLEIN], ids=lambda route: route.model)
def test_documented_graph_of_a_picture(route: Route) -> None:
    nodes = picture(route, width=1000, height=600, seed=77)
    assert all(link in nodes for node in nodes.values() for link in links(node))
    assert all(node.keys() == {"class_type", "inputs"} for node in nodes.values())
    assert inputs(nodes, "CLIPTextEncode")["text"] == "a fox"
    [latent] = [node["inputs"] for node in nodes.values() if node["class_type"].startswith("Empty")]
    # Latent pictures have sides in steps of 16; what comes out is cut to the size asked for.
    assert (latent["width"], latent["height"], latent["batch_size"]) == (1008, 608, 1)
    scaled = inputs(nodes, "ImageScale")
    assert (scaled["width"], scaled["height"], scaled["crop"]) == (1000, 600, "center")
    seeds = [value for node in nodes.values() for name, value in node["inputs"].items() if name.endswith("seed")]
    assert seeds == [77]
    values = [value for node in nodes.values() for value in node["inputs"].values()]
    assert not any(isinstance(value, str) and value.startswith("{") for value in values)


def test_a_seed_is_drawn_where_none_is_given() -> None:
    drawn = {inputs(picture(seed=None), "KSampler")["seed"] for _ in range(4)}
    assert len(drawn) > 1
    assert all(0 <= seed < 2**31 for seed in drawn)


def test_documented_graph_of_an_edit() -> None:
    nodes = picture(KLEIN, ("one.png", "two.jpg"), images=(A, B))
    assert [node["inputs"]["image"] for node in nodes.values() if node["class_type"] == "LoadImage"] == [
        "one.png",
        "two.jpg",
    ]
    assert all(link in nodes for node in nodes.values() for link in links(node))
    assert sum(node["class_type"] == "ReferenceLatent" for node in nodes.values()) == 2
    # The guider is led to the text through both pictures.
    step, seen = nodes[inputs(nodes, "CFGGuider")["positive"][0]], 0
    while step["class_type"] == "ReferenceLatent":
        step, seen = nodes[step["inputs"]["conditioning"][0]], seen + 1
    assert (step["class_type"], seen) == ("CLIPTextEncode", 2)
    # No size was asked for: it is that of the first picture.
    size = inputs(nodes, "EmptyFlux2LatentImage")
    assert [nodes[size[side][0]]["class_type"] for side in ("width", "height")] == ["GetImageSize"] * 2
    assert not any(node["class_type"] == "ImageScale" for node in nodes.values())
    sized = picture(KLEIN, ("one.png",), images=(A,), width=512, height=768, given=frozenset({"size"}))
    assert inputs(sized, "EmptyFlux2LatentImage")["width"] == 512
    assert inputs(sized, "ImageScale")["height"] == 768


def test_more_pictures_than_a_workflow_has_places_for_are_refused() -> None:
    eleven = tuple(Asset(bytes([number]), "image/png") for number in range(11))
    with pytest.raises(BadRequest, match=r"^image: this workflow takes at most 10 pictures"):
        picture(KLEIN, tuple(str(number) for number in range(11)), images=eleven)
    with pytest.raises(BadRequest, match=r"^image: this workflow takes at most 0 pictures"):
        picture(FLUX, ("a",), images=(A,))
    with pytest.raises(BadRequest, match="at most 10"):  # before anything is uploaded
        adapter.uploads(ImageRequest("x", images=eleven), KLEIN, HOST)
    nodes = picture(KLEIN, tuple(str(number) for number in range(10)), images=eleven[:10])
    assert sum(node["class_type"] == "ReferenceLatent" for node in nodes.values()) == 10


@pytest.mark.parametrize(
    ("seconds", "frames", "length"), [(1, 25, 24), (5, 121, 120), (10, 241, 240), (2.5, 65, 60), (0.01, 9, 1)]
)
def test_documented_graph_of_a_film(seconds: float, frames: int, length: int) -> None:
    nodes = film(seconds=seconds, width=1280, height=720)
    assert all(link in nodes for node in nodes.values() for link in links(node))
    latent = inputs(nodes, "EmptyLTXVLatentVideo")
    assert (latent["width"], latent["height"], latent["length"]) == (1280, 736, frames)
    assert inputs(nodes, "LTXVEmptyLatentAudio")["frames_number"] == frames
    assert inputs(nodes, "ImageFromBatch")["length"] == length
    assert (inputs(nodes, "ImageScale")["width"], inputs(nodes, "ImageScale")["height"]) == (1280, 720)
    assert "audio" not in inputs(nodes, "CreateVideo")
    assert inputs(nodes, "RandomNoise")["noise_seed"] == 1


def test_a_film_has_sound_when_it_is_asked_for() -> None:
    nodes = film(audio=True)
    assert nodes[inputs(nodes, "CreateVideo")["audio"][0]]["class_type"] == "LTXVAudioVAEDecode"
    assert not any(node["class_type"] == "LTXVAudioVAEDecode" for node in film().values())


PICTURES: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "a hen"},
    "width": {"width": 640},
    "height": {"height": 640},
    "size": {"width": 640, "height": 640},
    "seed": {"seed": 2},
    "image": {"images": (A,), "uploaded": ("a.png",)},
    "mask": {"mask": A, "uploaded": ("mask.png",)},
    "negative_prompt": {"negative_prompt": "rain"},
}
FILMS: dict[str, dict[str, Any]] = {
    "prompt": {"prompt": "hills"},
    "width": {"width": 640},
    "height": {"height": 640},
    "size": {"width": 640, "height": 640},
    "aspect_ratio": {"width": 720, "height": 720},
    "resolution": {"width": 854, "height": 480},
    "seed": {"seed": 2},
    "seconds": {"seconds": 2},
    "duration": {"seconds": 3},
    "audio": {"audio": True},
}


@pytest.mark.parametrize("route", [FLUX, ZIMAGE, KLEIN], ids=lambda route: route.model)
def test_parameters_of_pictures_move_the_documented_graph(route: Route) -> None:
    names = adapter.params(Capability.IMAGE, HOST, route)
    assert names == adapter.params(Capability.EDIT, HOST, route)
    assert names == {"prompt", "width", "height", "size", "seed"} | ({"image"} if route is KLEIN else set[str]())
    for name in names:
        assert picture(route, **PICTURES[name]) != picture(route), name


def test_parameters_of_films_move_the_documented_graph() -> None:
    assert adapter.params(Capability.VIDEO, HOST, LTX) == FILMS.keys()
    for name in FILMS:
        assert film(**FILMS[name]) != film(), name


def test_a_workflow_of_the_operator_has_what_its_slots_say(tmp_path: Path) -> None:
    loads = {"class_type": "LoadImage", "inputs": {"image": "{image}"}}
    masks = {"class_type": "LoadImageMask", "inputs": {"image": "{mask}", "channel": "red"}}
    paints = {
        "class_type": "Paint",
        "inputs": {"text": "{prompt}", "not": "{negative}", "on": ["2", 0], "where": ["3", 0]},
    }
    paints["_meta"] = {"title": "Paint", "else": {"on": None, "where": None}}  # type: ignore[assignment]
    route = own(tmp_path, {"1": paints, "2": loads, "3": masks, "4": SAVE})
    names = adapter.params(Capability.EDIT, HOST, route)
    assert names == {"prompt", "negative_prompt", "image", "mask"}
    for name in names:
        assert picture(route, **PICTURES[name]) != picture(route), name
    both = picture(route, ("a.png", "m.png"), images=(A,), mask=B)
    assert (both["2"]["inputs"]["image"], both["3"]["inputs"]["image"]) == ("a.png", "m.png")
    assert picture(route) == {
        "1": {"class_type": "Paint", "inputs": {"text": "a fox", "not": ""}},
        "4": SAVE,
    }


def test_a_film_of_the_operator_runs_at_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    runs = {"class_type": "Run", "inputs": {"n": "{frames}", "exact": "{length}", "rate": "{fps}"}}
    route = own(tmp_path, {"openpollen": {"fps": 16, "frame_step": 4}, "1": runs, "2": SAVE})
    assert adapter.params(Capability.VIDEO, HOST, route) == {"seconds", "duration", "fps"}
    assert film(route, seconds=2)["1"]["inputs"] == {"n": 33, "exact": 32, "rate": 16}
    assert film(route, seconds=2, fps=25)["1"]["inputs"] == {"n": 53, "exact": 50, "rate": 25}


def test_what_a_caller_writes_is_no_slot() -> None:
    assert inputs(picture(prompt="{seed}"), "CLIPTextEncode")["text"] == "{seed}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"nodes": [], "links": []}', "Export"),
        ("{}", "Export"),
        ("[]", "cannot be read"),
        ("not json", "cannot be read"),
        ('{"1": {"class_type": "A", "inputs": {"x": "{promt}"}}}', "no slot {promt}"),
        ('{"openpollen": {"fsp": 3}, "1": {"class_type": "A"}}', "fsp"),
        ('{"1": {"inputs": {}}}', "class_type"),
    ],
)
def test_a_file_that_is_no_workflow_is_told_to_the_operator(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / f"{abs(hash(text))}.json"
    path.write_text(text)
    with pytest.raises(BadWorkflow, match=fault):
        load(str(path))
    with pytest.raises(Failure) as caught:
        picture(Route("comfyui", str(path)))
    error = caught.value.error
    assert (error.reason, error.status, caught.value.retryable) == ("provider_unknown_model", 502, True)
    assert fault in str(error.details)
    assert fault not in error.message


@pytest.mark.parametrize("name", ["nothing", "../../../../etc/passwd", "/etc/hostname.json"])
def test_a_workflow_that_is_not_there_is_told_to_the_operator(name: str) -> None:
    route = Route("comfyui", name)
    assert "prompt" in adapter.params(Capability.IMAGE, HOST, route)
    with pytest.raises(Failure) as caught:
        picture(route)
    assert "there is no workflow" in str(caught.value.error.details)


def test_a_workflow_that_nothing_is_left_of_is_told_to_the_operator() -> None:
    workflow = parse(b'{"1": {"class_type": "Load", "inputs": {"image": "{image}"}}, "2": {"class_type": "Loop", '
                     b'"inputs": {"on": ["2", 0]}}, "3": {"class_type": "Save", "inputs": {"images": ["1", 0]}}}')  # fmt: skip
    with pytest.raises(BadWorkflow, match="without image"):
        workflow.filled({})
    assert workflow.filled({"image": "a"}).keys() == {"1", "3"}


def test_documented_upload() -> None:
    outs = adapter.uploads(ImageRequest("x", images=(A, B), mask=A), KLEIN, HOST)
    assert [out.url for out in outs] == ["http://gpu-1:8188/upload/image"] * 3
    names: list[str | None] = []
    for out, asset in zip(outs, (A, B, A), strict=True):
        assert isinstance(out.body, bytes)
        parts = {part.name: part for part in parse_form(dict(out.headers)["content-type"], out.body)}
        assert (parts["image"].data, parts["image"].content_type) == (asset.data, asset.mime)
        assert (parts["type"].data, parts["overwrite"].data) == (b"input", b"true")
        names.append(parts["image"].filename)
    assert names[0] == names[2] != names[1]
    assert adapter.decode_upload(200, {}, b'{"name": "a.png", "subfolder": "", "type": "input"}', HOST) == "a.png"
    assert adapter.decode_upload(200, {}, b'{"name": "a.png", "subfolder": "in"}', HOST) == "in/a.png"
    assert adapter.uploads(VideoRequest("x"), LTX, HOST) == ()
    for status, answer in ((200, b"[]"), (400, b""), (413, b"too large")):
        with pytest.raises(Failure):
            adapter.decode_upload(status, {}, answer, HOST)


def entry(outputs: dict[str, Any], status: str = "success", messages: list[Any] | None = None) -> bytes:
    told = {"status_str": status, "completed": status == "success", "messages": messages or []}
    return json.dumps({JOB: {"prompt": [0, JOB, {}], "outputs": outputs, "status": told}}).encode()


def seen(answer: bytes) -> JobState:
    return adapter.decode_job(200, {}, answer, HOST)


def test_documented_states_of_a_job() -> None:
    answer = json.dumps({"prompt_id": JOB, "number": 3, "node_errors": {}}).encode()
    assert adapter.decode_image(200, {}, answer, HOST) == JobState(JOB, "queued")
    assert adapter.decode_video(200, {}, answer, HOST) == JobState(JOB, "queued")
    assert adapter.poll_job(JOB, FLUX, HOST).url == f"http://gpu-1:8188/history/{JOB}"
    assert adapter.poll_job("../queue", FLUX, HOST).url == "http://gpu-1:8188/history/..%2Fqueue"
    assert seen(b"{}") == JobState("", "queued")
    shown = {"filename": "preview.png", "subfolder": "", "type": "temp"}
    saved = {"filename": "open pollen_1.png", "subfolder": "a&b", "type": "output"}
    done = seen(entry({"5": {"images": [shown]}, "8": {"images": [saved], "text": ["x"], "animated": [False]}}))
    assert (done.id, done.status, done.progress) == (JOB, "done", 100)
    out = adapter.fetch_job(done, FLUX, HOST)
    assert dict(parse_qsl(urlsplit(out.url).query)) == saved
    assert out.url.startswith("http://gpu-1:8188/view?")
    assert dict(out.headers)["authorization"] == "Bearer proxy-secret-key"
    assert "preview.png" in seen(entry({"5": {"images": [shown]}})).result
    film = {"images": [{"filename": "f.mp4", "subfolder": "video", "type": "output"}], "animated": [True]}
    assert "f.mp4" in seen(entry({"21": film})).result
    odd = {
        "1": None,
        "2": {"images": [None, 3, {"name": "x"}]},
        "3": {"images": [{"filename": "o.png", "subfolder": None}]},
    }
    assert seen(entry(odd)).result == "view?filename=o.png&subfolder=&type=output"
    older = json.dumps({JOB: {"outputs": {"8": {"images": [saved]}}}}).encode()
    assert seen(older).status == "done"
    made = adapter.decode_result(200, {}, b"\x89PNG picture", HOST)
    assert isinstance(made, Media)
    assert made.assets[0].data == b"\x89PNG picture"


def test_documented_failures_of_a_job() -> None:
    error = {"node_type": "KSampler", "exception_message": "CUDA out of memory proxy-secret-key\n", "traceback": ["x"]}
    failed = seen(entry({}, "error", [["execution_start", {}], ["execution_error", error]]))
    assert (failed.id, failed.status) == (JOB, "failed")
    assert failed.error.startswith("KSampler: CUDA out of memory")
    assert without_secret(failed.error, HOST)
    stopped = seen(entry({}, "error", [["execution_interrupted", {"prompt_id": JOB}]]))
    assert stopped.error == "the job was stopped on the server"
    assert seen(entry({}, "error")).error == "the server gives no reason"
    assert seen(entry({"1": {"text": ["only words"]}})).error == "the workflow saved no file"


def refused(*errors: tuple[str, str]) -> bytes:
    found = [{"type": kind, "message": "Value", "details": said, "extra_info": None} for kind, said in errors]
    error = {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation"}
    node_errors = {"4": {"errors": found, "dependent_outputs": ["9"], "class_type": "UNETLoader"}}
    return json.dumps({"error": error, "node_errors": node_errors}).encode()


@pytest.mark.parametrize(
    ("status", "answer", "reason", "told"),
    [
        (400, refused(("value_not_in_list", "unet_name: 'z.safetensors' not in []")), "provider_unknown_model", 502),
        (400, refused(("value_bigger_than_max", "width: 20000")), "upstream_invalid_request", 400),
        (400, b'{"error": {"type": "missing_node_type", "message": "Node X not found"}, "node_errors": {}}',
         "provider_unknown_model", 502),
        (400, b'{"error": "no prompt", "node_errors": []}', "provider_unknown_model", 502),
        (401, b"Unauthorized", "provider_credential", 502),
        (404, b"404: Not Found", "provider_unknown_model", 502),
        (413, b"Maximum request body size exceeded", "upstream_invalid_request", 400),
        (500, b"500 Internal Server Error", "upstream_error", 502),
        (503, b"", "upstream_overloaded", 503),
        (200, b"<html>", "upstream_invalid_answer", 502),
        (200, b"{}", "upstream_invalid_answer", 502),
    ],
)  # fmt: skip
def test_documented_errors(status: int, answer: bytes, reason: str, told: int) -> None:
    for decode in (adapter.decode_image, adapter.decode_video):
        with pytest.raises(Failure) as caught:
            decode(status, {}, answer, HOST)
        error = caught.value.error
        assert (error.reason, error.status, caught.value.retryable) == (reason, told, told >= 500)
        assert without_secret(f"{error.message} {error.details}", HOST)


def test_the_operator_is_told_which_file_is_lacking() -> None:
    with pytest.raises(Failure) as caught:
        adapter.decode_image(400, {}, refused(("value_not_in_list", "unet_name: 'z' not in []")), HOST)
    assert caught.value.error.details is not None
    assert caught.value.error.details["hint"] == "UNETLoader: unet_name: 'z' not in []"


@pytest.mark.parametrize(("status", "answer"), [(500, b""), (404, b""), (200, b"[]"), (200, b"x"), (200, b'{"a": 1}')])
def test_an_answer_that_is_not_documented_is_no_state(status: int, answer: bytes) -> None:
    with pytest.raises(Failure):
        adapter.decode_job(status, {}, answer, HOST)


@pytest.mark.parametrize(("status", "answer"), [(404, b""), (200, b"")])
def test_a_file_that_is_gone_is_no_result(status: int, answer: bytes) -> None:
    with pytest.raises(Failure):
        adapter.decode_result(status, {}, answer, HOST)


def test_documented_way_out_of_the_queue() -> None:
    out = adapter.cancel_job(JOB, FLUX, HOST)
    assert out is not None
    assert (out.method, out.url, out.body) == (
        "POST",
        "http://gpu-1:8188/queue",
        b'{"delete":["' + JOB.encode() + b'"]}',
    )
