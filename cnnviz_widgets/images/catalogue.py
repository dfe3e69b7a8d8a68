"""The course's pictures: their names, what they show, to whom they are owed, and the files that hold them."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ..errors import ImageError
from ..i18n import _


@dataclass(frozen=True)
class Picture:
    """A picture of the course: its name in the code, its title and alternative text, and to whom it is owed."""

    name: str
    title: str
    alt: str
    credit: str
    licence: str
    source: str


_CHELSEA_CREDIT = "Stéfan van der Walt"
_COFFEE_CREDIT = "Rachel Michetti, courtesy of Pikolo Espresso Bar"

PICTURES: dict[str, Picture] = {
    picture.name: picture
    for picture in (
        Picture(
            "cat",
            "Chelsea the cat",
            "Face of a striped ginger cat with green eyes, a reddish nose and long whiskers, seen from close by",
            _CHELSEA_CREDIT,
            "CC0",
            "scikit-image, chelsea.png (cropped to 4:5)",
        ),
        Picture(
            "coffee",
            "A cup of espresso",
            "Red and white cup of espresso on a red saucer with a spoon, on a wooden table",
            _COFFEE_CREDIT,
            "CC0",
            "scikit-image, coffee.png",
        ),
        Picture(
            "astronaut",
            "Eileen Collins",
            "Astronaut Eileen Collins smiling in an orange space suit, a flag and a model of a shuttle behind her",
            "NASA Great Images database",
            "public domain",
            "scikit-image, astronaut.png",
        ),
        Picture(
            "rocket",
            "A Falcon 9 before its launch",
            "White rocket standing upright between lattice towers under a deep blue sky, lamps at its foot",
            "SpaceX",
            "public domain",
            "scikit-image, rocket.jpg",
        ),
        Picture(
            "motorcycle",
            "A motorcycle in a garage",
            "Red motorcycle seen from the side in front of shelves full of boxes",
            "Middlebury 2014 stereo data set: D. Scharstein, H. Hirschmüller, Y. Kitajima, G. Krathwohl, N. Nešić, "
            "X. Wang and P. Westling",
            "no licence stated; made available for research, cite the authors (GCPR 2014)",
            "scikit-image, motorcycle_left.png",
        ),
        Picture(
            "camera",
            "Photographer with a tripod",
            "Grey photograph of a man in a dark coat bending over a camera on a tripod, on a wide lawn",
            "Lav Varshney",
            "CC0",
            "scikit-image, camera.png",
        ),
        Picture(
            "brick",
            "Brick wall",
            "Upright rows of dark bricks with light joints, in grey",
            "CC0 Textures",
            "CC0",
            "scikit-image, brick.png",
        ),
        Picture(
            "grass",
            "Grass",
            "Blades of grass in all directions, in grey",
            "linolafett (DeviantArt)",
            "CC0",
            "scikit-image, grass.png",
        ),
        Picture(
            "gravel", "Gravel", "Pebbles of all shapes, in grey", "CC0 Textures", "CC0", "scikit-image, gravel.png"
        ),
        Picture(
            "hubble_deep_field",
            "Hubble eXtreme Deep Field",
            "Hundreds of small galaxies of many colours on a black sky",
            "NASA, HubbleSite",
            "public domain",
            "scikit-image, hubble_deep_field.jpg",
        ),
        Picture(
            "immunohistochemistry",
            "Stained tissue",
            "Microscope picture of colonic glands, rings of cells stained brown and blue",
            "Center for Microscopy and Molecular Imaging (CMMI)",
            "no known copyright restrictions",
            "scikit-image, ihc.png",
        ),
        Picture(
            "china",
            "A tower in China",
            "Chinese tower of four storeys with curved roofs, on a wooded hill above a lake",
            "danielbuechele (Flickr)",
            "CC BY 2.0",
            "scikit-learn, china.jpg",
        ),
        Picture(
            "flower",
            "A flower",
            "Round orange flower with many rows of petals before dark leaves",
            "vultilion (Flickr)",
            "CC BY 2.0",
            "scikit-learn, flower.jpg",
        ),
        Picture(
            "cat_and_coffee",
            "Cat and coffee",
            "Two photographs side by side: a red and white cup of espresso and half of a cat's face",
            f"{_CHELSEA_CREDIT}; {_COFFEE_CREDIT}",
            "CC0",
            "scikit-image, chelsea.png and coffee.png (collage)",
        ),
    )
}

_FILES = {
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "camera": ("skimage", "data/camera.png"),
    "brick": ("skimage", "data/brick.png"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "hubble_deep_field": ("skimage", "data/hubble_deep_field.jpg"),
    "immunohistochemistry": ("skimage", "data/ihc.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
_DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


def course_file(name: str) -> Path:
    """The file of the photograph `name`. Raises `ImageError` when the package that carries it is not installed."""
    package, file = _FILES[name]
    # Looking a package up does not import it: scikit-image alone would cost more memory than all our pictures.
    spec = find_spec(package)
    path = Path(spec.origin).parent / file if spec and spec.origin else None
    if path is None or not path.is_file():
        message = _(
            'The picture "{name}" comes with {package}, which is not installed: python -m pip install {package}'
        )
        raise ImageError(message.format(name=name, package=_DISTRIBUTIONS[package]))
    return path
