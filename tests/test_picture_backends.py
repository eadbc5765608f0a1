"""Diffusion pipelines, an image API and a vision language model behind the renderer's protocols, without weights."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from glossator.errors import UserError
from glossator.language_models import Answer
from glossator.language_models.pictures import ImageAPI, VisionDescriber
from glossator.language_models.scripted import Scripted
from glossator.scenes.diffusion import DiffusionEditor, DiffusionTextToImage
from glossator.scenes.pictures import Picture, Renderer, checked


class Noise:
    """A pipeline of random weights: noise of its generator, a tenth of the given image, the number of its steps."""

    def __call__(self, *, prompt, generator, image=None, num_inference_steps=1):
        noise = torch.rand((48, 64, 3), generator=generator).numpy() * 200 + num_inference_steps
        if image is not None:
            noise = noise * 0.1 + np.asarray(image.resize((64, 48)), np.float32) * 0.9
        return SimpleNamespace(images=[Image.fromarray(noise.clip(0, 255).astype(np.uint8))])


def test_diffusion_draws_and_edits_from_seeds() -> None:
    draw = DiffusionTextToImage(Noise(), side=32, num_inference_steps=3)
    one, two = draw.draw(["a dog", "a dog"], seed=4)
    assert one.pixels.shape == (32, 32, 3) and one.backend == "diffusers:Noise" and one.seed != two.seed
    assert (one.pixels == draw.draw(["a dog"], seed=4)[0].pixels).all() and (one.pixels != two.pixels).any()
    black = Picture(np.zeros((32, 32, 3), np.uint8), None, "", 0, "file")
    (edited,) = DiffusionEditor(Noise(), side=32).edit([black], ["make it night"], seed=1)
    assert edited.pixels.mean() < 20 < one.pixels.mean() and edited.prompt == "make it night"
    with pytest.raises(UserError, match="one instruction a picture"):
        DiffusionEditor(Noise()).edit([black], [], seed=1)


def test_without_the_package_a_named_pipeline_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(UserError, match=r"diffusers is not installed.*glossator\[diffusion\]"):
        DiffusionTextToImage("some/model").draw(["a dog"])


def test_a_vision_language_model_sees_nothing_but_the_picture() -> None:
    model = Scripted(lambda request: f"a dog, {len(request.messages[0].images)}")
    describer, picture = VisionDescriber(model), Renderer(side=32).draw(["a cat on grass"])[0]
    mask = np.zeros((32, 32), bool)
    mask[:16] = True
    assert (
        describer.describe(picture, mask) == "a dog, 1" and describer.summarise([picture] * 3, [None] * 3) == "a dog, 3"
    )
    (message,) = model.asked[0].messages
    sent = Picture.from_png(message.images[0])
    assert "cat" not in message.content and sent.scene is None and sent.prompt == ""
    assert (sent.pixels[:16] == picture.pixels[:16]).all() and (sent.pixels[16:] <= picture.pixels[16:] * 0.25).all()
    with pytest.raises(UserError, match="does not see images"):
        VisionDescriber(Scripted(["x"], powers={"chat"}))
    with pytest.raises(UserError, match=r"not described.*no"):
        VisionDescriber(Scripted([Answer("", failure="no")])).describe(picture)


def test_what_a_describer_does_not_find_is_missing() -> None:
    grey = np.full((8, 8, 3), 128, np.uint8)
    drawn = Picture(grey, None, "a dog and an animal next to a red car", 0, "api")
    known = Renderer(side=32).draw(["a cat"])[0]
    failed = Picture(grey, None, "a dog", 0, "api", failure="refused")
    found = checked([drawn, known, failed], VisionDescriber(Scripted(["A poodle and a cat on grass."])))
    assert found[0].missing == ("not seen: dog", "not seen: car") and found[1] is known and found[2] is failed


class ImageServer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers["Content-Type"], body))
        status, reply = 200, {"created": 0, "data": [{"b64_json": self.server.image}]}
        if b"forbidden" in body:
            status, reply = 400, {"error": {"message": f"no {self.headers['Authorization']}", "code": "moderation"}}
        if b"empty" in body:
            reply = {"created": 0, "data": []}
        if b"garbage" in body:
            reply["data"][0]["b64_json"] = base64.b64encode(b"no image").decode()
        if "wrong" in self.headers["Authorization"]:
            status, reply = 401, {"error": {"message": "bad key sk-wrong-key"}}
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server():
    served = ThreadingHTTPServer(("127.0.0.1", 0), ImageServer)
    served.seen = []
    served.image = base64.b64encode(Renderer(side=64).draw(["a red dog on grass"])[0].png()).decode()
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def spec(server) -> str:
    return f"http://127.0.0.1:{server.server_port}/v1#dall-e-2?key_variable=IMAGE_KEY"


def test_an_image_api_draws_edits_and_says_what_failed(server, monkeypatch) -> None:
    monkeypatch.setenv("IMAGE_KEY", "sk-right-key-0123456789")
    api = ImageAPI(spec(server), side=32)
    drawn = api.draw(["a dog", "forbidden", "empty", "garbage"], seed=2)
    assert [picture.failure is None for picture in drawn] == [True, False, False, False]
    assert drawn[0].pixels.shape == (32, 32, 3) and drawn[0].scene is None and drawn[0].prompt == "a dog"
    assert not any("sk-right" in str(picture.failure) for picture in drawn)
    assert (drawn[1].pixels == 128).all() and Picture.from_png(drawn[1].png()).failure == drawn[1].failure
    (edited,) = api.edit(drawn[:1], ["make it night"], seed=2)
    assert edited.failure is None and edited.prompt == "make it night"
    (path, kind, body), (edit_path, edit_kind, edit_body) = server.seen[0], server.seen[-1]
    assert path.endswith("/images/generations") and json.loads(body)["response_format"] == "b64_json"
    assert edit_path.endswith("/images/edits") and edit_kind.startswith("multipart/") and b"PNG" in edit_body
    assert "json" in kind


def test_what_fails_every_request_is_an_error(server, monkeypatch) -> None:
    monkeypatch.setenv("IMAGE_KEY", "sk-wrong-key")
    with pytest.raises(UserError, match="HTTP 401") as caught:
        ImageAPI(spec(server)).draw(["a dog"])
    assert "sk-wrong-key" not in str(caught.value)
    monkeypatch.delenv("IMAGE_KEY")
    with pytest.raises(UserError, match="no key"):
        ImageAPI(spec(server)).draw(["a dog"])
    with pytest.raises(UserError, match="no image API"):
        ImageAPI("anthropic:claude")
