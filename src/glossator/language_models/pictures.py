"""Pictures by services: an image API that draws and edits, and a vision language model that describes.

They follow the protocols of `glossator.scenes.pictures`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from glossator.errors import UserError
from glossator.language_models.request import IMAGES, LanguageModel, Message, Request
from glossator.language_models.secrets import Secret
from glossator.language_models.specs import parse_spec
from glossator.scenes.pictures import Picture, check_pairs, decoded, seed_of
from glossator.scenes.render import SIDE

DIM = 0.25
"""How bright the part of a picture is that is not to be described."""
DESCRIBE = (
    "Describe what this picture shows in one plain sentence: the things, their number, size and colour, how they stand "
    "to each other, the background, the light and the weather. Do not guess at what cannot be seen."
)
DESCRIBE_PART = (
    "Most of this picture is darkened. Describe what its bright part shows in one plain sentence. Leave out the rest."
)
SUMMARISE = (
    "What do these pictures have in common, also in their bright parts where some are darkened? Answer in one plain "
    "sentence. If they have nothing in common, say so."
)


class VisionDescriber:
    """A vision language model as describer. Each picture is a question of its own, in which nothing but the picture
    stands; so no hypothesis can colour what is seen. Raises `UserError` for a model without images and where no answer
    comes."""

    def __init__(self, model: LanguageModel, *, max_tokens: int = 160):
        if IMAGES not in model.powers:
            raise UserError("this language model does not see images", value=model.name)
        self.model, self.max_tokens, self.backend = model, max_tokens, model.name

    def describe(self, picture: Picture, mask: np.ndarray | None = None) -> str:
        return self._asked(DESCRIBE if mask is None else DESCRIBE_PART, [_shown(picture, mask)])

    def summarise(self, pictures: Sequence[Picture], masks: Sequence[np.ndarray | None]) -> str:
        return self._asked(SUMMARISE, [_shown(*pair) for pair in zip(pictures, masks, strict=True)])

    def _asked(self, question: str, images: list[bytes]) -> str:
        message = Message("user", question, tuple(images))
        (answer,) = self.model.ask([Request((message,), max_tokens=self.max_tokens)])
        if answer.failure is not None:
            raise UserError("the picture was not described", value=self.backend, fix=answer.failure)
        return answer.text.strip()


def _shown(picture: Picture, mask: np.ndarray | None) -> bytes:
    """The picture as PNG, without its text chunk, dark where the mask is False."""
    pixels = picture.pixels
    if mask is not None:
        pixels = np.where(mask[..., None], pixels, (pixels * DIM).astype(np.uint8))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


class ImageAPI:
    """Draws and edits through a server with OpenAI's image endpoints.

    spec: `openai:MODEL` or `http://HOST:PORT/v1#MODEL`, as of language models, its key in the environment; side: of
    the pictures, in pixels, to which the server's are scaled; size: that the server is asked for. Such servers take no
    seed, so the same prompt gives another picture each time. A prompt that is refused gives a picture with its
    `failure`; what fails every request, such as a wrong key, is a `UserError`.
    """

    def __init__(self, spec: str, *, side: int = SIDE, size: str = "1024x1024"):
        parsed = parse_spec(spec)
        if parsed.form not in ("openai", "http"):
            raise UserError("no image API", value=spec, allowed="openai:MODEL or http://HOST:PORT/v1#MODEL")
        self.spec, self.side, self.size, self.backend = parsed, side, size, parsed.name

    def draw(self, prompts: Sequence[str], seed: int = 0) -> list[Picture]:
        client = self._client()

        def one(prompt: str) -> Any:
            return client.images.generate(model=self.spec.model, prompt=prompt, size=self.size, **self._more())

        return [self._picture(one, prompt, seed_of(seed, i)) for i, prompt in enumerate(prompts)]

    def edit(self, pictures: Sequence[Picture], instructions: Sequence[str], seed: int = 0) -> list[Picture]:
        check_pairs(pictures, instructions)
        client, found = self._client(), []
        for i, (picture, instruction) in enumerate(zip(pictures, instructions, strict=True)):
            file = ("picture.png", _shown(picture, None), "image/png")

            def one(prompt: str, file: Any = file) -> Any:
                return client.images.edit(model=self.spec.model, image=file, prompt=prompt, **self._more())

            found.append(self._picture(one, instruction, seed_of(seed, i)))
        return found

    def _more(self) -> dict[str, Any]:
        """Models before gpt-image have to be told to send the picture itself; later ones do not know the parameter."""
        return {} if self.spec.model.startswith("gpt-image") else {"response_format": "b64_json"}

    def _client(self) -> Any:
        import openai

        return openai.OpenAI(
            api_key=self.spec.key() or "none", base_url=self.spec.url, timeout=self.spec.timeout, max_retries=2
        )

    def _picture(self, ask: Callable[[str], Any], prompt: str, seed: int) -> Picture:
        import openai

        try:
            reply = ask(prompt)
            image = Image.fromarray(decoded(base64.b64decode(reply.data[0].b64_json)))
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            fix = "Check the key and the name of the model"
            raise UserError(f"the image API refuses (HTTP {error.status_code})", value=self.backend, fix=fix) from None
        except openai.APIConnectionError as error:
            raise UserError("the image API cannot be reached", value=self.backend, fix=str(error)) from error
        except (openai.APIError, UserError, TypeError, ValueError, IndexError, AttributeError) as error:
            said = " ".join(Secret(self.spec.key()).hide(str(error)).split())[:200]
            nothing = np.full((self.side, self.side, 3), 128, np.uint8)
            return Picture(nothing, None, prompt, seed, self.backend, failure=said or type(error).__name__)
        fitted = ImageOps.fit(image, (self.side, self.side), Image.Resampling.BICUBIC)
        return Picture(np.asarray(fitted), None, prompt, seed, self.backend)
