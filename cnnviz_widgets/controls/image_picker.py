"""The course's pictures as thumbnails, and a place to bring one's own."""

import base64
from functools import cache
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from .. import images, render
from ..errors import CnnvizError, ImageError
from ..i18n import _

HERE = Path(__file__).parent
THUMBNAIL = 48  # pixels along the edge
MOST_UPLOADS = 8  # that are kept: each may take 12 MB


class NoSuchPicture(ImageError, traitlets.TraitError):
    """A picture that is not offered; a trait that is told to take it, also by the page, keeps what it had."""


class ImagePicker(anywidget.AnyWidget):
    """Thumbnails to choose from and a button to upload; `value` is the chosen picture's name, `image` its pixels.

    It begins with one of the course's pictures, by name, or with a picture of the reader's: anything that
    `images.load` takes (a path, an array …), and raises `ImageError` for anything else. An uploaded picture is added
    under its file name and chosen; of many, the latest few are kept. One that cannot be read leaves `value` as it was
    and puts a sentence into `error`.
    """

    _esm = (HERE / "image_picker.js").read_text(encoding="utf-8")
    _css = (HERE / "image_picker.css").read_text(encoding="utf-8")

    value = traitlets.Unicode().tag(sync=True)
    choices = traitlets.List(traitlets.Dict()).tag(sync=True)
    words = traitlets.Dict().tag(sync=True)
    error = traitlets.Unicode("")

    def __init__(self, value: images.ImageSource = "cat", names: tuple[str, ...] | None = None, **traits):
        self._images: dict[str, np.ndarray] = {}
        self._uploads: list[str] = []  # the latest last
        names = names or tuple(images.PICTURES)
        words = {
            "label": _("Picture"),
            "upload": _("Your own picture …"),
            "upload_help": _("Choose a picture file, or drop one here; it stays on this machine"),
        }
        choices = [_choice(name, _(images.PICTURES[name].title), _thumbnail(name)) for name in names]
        if not (isinstance(value, str) and value in names):
            image = images.load(value)
            value = _own_name(Path(value).name if isinstance(value, (str, Path)) else _("your picture"))
            choices.append(_choice(value, value, _small(image)))
            self._images[value] = image
        super().__init__(choices=choices, value=value, words=words, **traits)
        self.on_msg(self._on_message)

    @traitlets.validate("value")
    def _known(self, proposal: dict) -> str:
        names = [choice["name"] for choice in self.choices]
        if proposal["value"] not in names:
            message = _("There is no picture “{name}”; there are {names}.")
            raise NoSuchPicture(message.format(name=proposal["value"], names=", ".join(names)))
        return proposal["value"]

    @property
    def image(self) -> np.ndarray:
        """The chosen picture: uint8 `[H, W, 3]`."""
        name = self.value
        if name not in self._images:  # keep the uploads, and of the course's pictures the one that is looked at
            self._images = {key: kept for key, kept in self._images.items() if key not in images.PICTURES}
            self._images[name] = images.load(name)
        return self._images[name]

    @property
    def title(self) -> str:
        """The chosen picture's title, or its file name."""
        return next(choice["title"] for choice in self.choices if choice["name"] == self.value)

    def upload(self, name: str, data: bytes) -> None:
        """Add the picture in the file `name` with content `data` and choose it; a refusal goes to `error`."""
        try:
            image = images.load(data)
        except CnnvizError as error:
            self.complain(_("“{name}” was not taken. {reason}").format(name=name, reason=error))
            return
        name = _own_name(name)
        again = self.value == name
        if name in self._uploads or name not in self._images:  # what the picker began with is no upload
            self._uploads = [*(upload for upload in self._uploads if upload != name), name]
        self._images[name] = image
        others = [choice for choice in self.choices if choice["name"] != name]
        self.choices = [*others, _choice(name, name, _small(image))]
        self.error = ""
        if again:  # the same name with other pixels: tell the observers all the same
            self.notify_change({"name": "value", "old": name, "new": name, "owner": self, "type": "change"})
        else:
            self.value = name
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        forgotten, self._uploads = self._uploads[:-MOST_UPLOADS], self._uploads[-MOST_UPLOADS:]
        if forgotten:
            self._images = {name: image for name, image in self._images.items() if name not in forgotten}
            self.choices = [choice for choice in self.choices if choice["name"] not in forgotten]

    def described(self) -> str:
        """The control in words, for the panel's picture."""
        return f"{self.words['label']}: {self.title}"

    def complain(self, sentence: str) -> None:
        """Say `sentence` through `error`, also when it is the same one as before."""
        self.error = ""
        self.error = sentence

    def _on_message(self, _widget: object, content: dict, buffers: list) -> None:
        name = str(content.get("name", ""))
        if content.get("kind") == "upload" and buffers:
            self.upload(name, bytes(buffers[0]))
        elif content.get("kind") == "too large":
            self.complain(
                _(
                    "“{name}” has {megabytes:.0f} MB and your browser cannot read it to make it smaller; "
                    "save it as a JPEG or PNG under 5 MB and try again."
                ).format(name=name, megabytes=content["megabytes"])
            )

    def __repr__(self) -> str:
        return "ImagePicker()"


def _own_name(name: str) -> str:
    """What a picture of the reader's is called here; a file called "cat" is not the course's cat."""
    return f"{name} " if name in images.PICTURES else name


def _choice(name: str, title: str, thumbnail: str) -> dict[str, str]:
    return {"name": name, "title": title, "thumbnail": thumbnail}


@cache
def _thumbnail(name: str) -> str:
    """The thumbnail of one of the course's pictures: decoding them all takes half a second."""
    return _small(images.load(name))


def _small(image: np.ndarray) -> str:
    """`image` as a square thumbnail in a data URI."""
    thumbnail = render.encode(images.fit(image, (THUMBNAIL, THUMBNAIL)), "jpeg", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(thumbnail).decode()}"
