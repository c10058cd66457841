"""The page on which a person plays the network's game."""

import base64
import io
import json
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from jaxbias.studies.dataset_classification import game

NAMES = ("plain", "</script><script>alert(1)</script>", '"it\'s" & <b>{{title}}</b>')


def some(count, size=8, seed=0, channels=3):
    shape = count, size, size, channels
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def written(count=12, names=NAMES, network=True, **options):
    labels = np.arange(count) % len(names)
    return game.page(
        names,
        [some(4, seed=i) for i in range(len(names))],
        some(count, seed=99),
        labels,
        (labels + 1) % len(names) if network else None,
        **options,
    )


class Page(HTMLParser):
    """Elements, their attributes and the text of each, as a browser sees them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open = [], {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append(dict(attrs).get("id", tag))

    def handle_endtag(self, tag):
        self.open.append(None)

    def handle_data(self, data):
        if self.open and self.open[-1]:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data

    def tags(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def data(self):
        return json.loads(self.text["data"])


def unscrambled(data):
    """The truth, and the network's guesses, taken out as the page's script does."""
    state, found = data["seed"], []
    for byte in base64.b64decode(data["hidden"]):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        found.append(byte ^ (state >> 24))
    count = len(data["validation"])
    return found[:count], found[count:]


def opened(uri):
    assert uri.startswith("data:image/")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_a_page_has_all_its_parts_and_loads_nothing():
    text = written(title="A & B")
    page = Page(text)
    assert page.elements[0][0] == "html" and page.text["title"] == "A & B"
    assert page.text["h1"] == "A & B"
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"browse", "guess", "result", "choices", "progress", "place"} <= set(ids)
    (live,) = [a for _, a in page.elements if "aria-live" in a]
    assert live["id"] == "place"
    assert "45.4 %" in text and "33.3 %" in text and "other data sets" in text
    # Nothing is fetched: no addresses, and a policy that forbids them.
    assert "http:" not in text and "https:" not in text
    for attributes in (a for _, a in page.elements):
        assert "src" not in attributes
        assert attributes.get("href", "data:,") == "data:,"
    policies = [a["content"] for a in page.tags("meta") if "http-equiv" in a]
    assert policies[0].startswith("default-src 'none'; img-src data:")


def test_names_and_titles_are_text_whatever_they_hold():
    plain = Page(written(names=("a", "b", "c")))
    text = written(title="</title><script>{{data}}</script>")
    page = Page(text)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in plain.elements]
    assert page.data["names"] == list(NAMES)
    assert page.text["title"] == "</title><script>{{data}}</script>"
    assert len(page.tags("script")) == 2
    assert "alert(1)</script>" not in text
    # The script itself makes text of them, never markup.
    assert "innerHTML" not in text and "document.write" not in text
    assert Page(written(names=("\udcff", "a\u2028", "c"))).data["names"][0] == "\udcff"


def test_images_stay_what_they_are():
    training = [some(3, seed=1, channels=1), some(2, seed=2)]
    # Of several sizes, and listed: as folders give them.
    asked = [some(1, size=side, seed=side)[0] for side in (5, 9, 64)]
    page = Page(game.page(("a", "b"), training, asked, [0, 1, 1]))
    grey, coloured = page.data["training"]
    assert len(grey) == 3 and len(coloured) == 2
    for uri, image in zip(grey, training[0], strict=True):
        np.testing.assert_array_equal(opened(uri), image[..., 0])
    for uri, image in zip(coloured, training[1], strict=True):
        np.testing.assert_array_equal(opened(uri), image)
    sides = sorted(opened(uri).shape[0] for uri in page.data["validation"])
    assert sides == [5, 9, 64]


def test_the_truth_goes_with_its_image_and_is_not_in_plain_sight():
    labels = np.repeat([0, 1], 20)
    # The red of an image says which one it is.
    asked = np.zeros((40, 4, 4, 3), np.uint8)
    asked[..., 0] = np.arange(40)[:, None, None]
    network = 1 - labels
    text = game.page(("a", "b"), [some(1), some(1)], asked, labels, network)
    data = Page(text).data
    numbers = [int(opened(uri)[0, 0, 0]) for uri in data["validation"]]
    assert sorted(numbers) == list(range(40)) and numbers != list(range(40))
    truth, guessed = unscrambled(data)
    assert truth == labels[numbers].tolist()
    assert guessed == network[numbers].tolist()
    assert set(data) == {"id", "seed", "names", "training", "validation", "hidden"}
    hidden = base64.b64decode(data["hidden"])
    for plain in (labels, labels[numbers], network[numbers]):
        assert bytes(plain.astype(np.uint8)) not in hidden
        assert json.dumps(plain.tolist(), separators=(",", ":")) not in text
    assert len(set(hidden)) > 20


def test_no_network_none_in_the_page():
    truth, guessed = unscrambled(Page(written(network=False)).data)
    assert sorted(truth) == sorted(np.arange(12) % 3) and guessed == []


def test_the_same_input_is_the_same_page_and_another_is_another_game():
    assert written() == written()
    pages = [written(), written(network=False), written(names=("a", "b", "c"))]
    assert len({Page(page).data["id"] for page in pages}) == 3


def test_large_images_are_shrunk_and_a_page_stays_small():
    asked = [some(1, size=8)[0], np.tile(some(1, size=20), (1, 9, 15, 1))[0]]
    data = Page(game.page(("a", "b"), [asked, asked], asked, [0, 1])).data
    assert opened(data["training"][0][1]).shape == (77, 128, 3)
    # Noise is the worst case: no format makes it small.
    noise = some(150, size=140)
    text = game.page(("a", "b"), [noise[:25], noise[25:50]], noise[50:], [0, 1] * 50)
    assert 1_500_000 < len(text) < 3_000_000
    found = Page(text).data
    assert {opened(uri).shape for uri in found["validation"]} == {
        opened(found["training"][0][0]).shape
    }
    assert game.LEAST <= opened(found["training"][0][0]).shape[0] < game.LARGEST


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(names=("a",), training=[some(1)]), "1 sources"),
        (dict(names=("a", "b", "c")), "3 names for 2 sets"),
        (dict(names=("a", "a")), "two sources have the name 'a'"),
        (dict(names=("a", " ")), "source 1 has no name"),
        (dict(training=[some(1), some(0)]), "'b' has no training images"),
        (dict(validation=some(0), labels=[]), "no validation images"),
        (dict(labels=[0]), r"labels: shape \(1,\) for 2"),
        (dict(labels=[0, 2]), "labels: 2 is not from 0 to 1"),
        (dict(labels=[-1, 0]), "labels: -1 is not"),
        (dict(labels=np.arange(2.0)), "integers, not float64"),
        (dict(network=[0, 1, 1]), r"network: shape \(3,\) for 2"),
        (dict(network=[0, 300]), "network: 300 is not"),
        (dict(validation=[np.zeros((4, 4, 3))] * 2), "float64"),
        (dict(validation=some(2)[..., :2]), r"\(8, 8, 2\)"),
        (dict(validation=some(2, size=0)), "no pixels"),
    ],
)
def test_wrong_input_is_said(wrong, message):
    right = dict(names=("a", "b"), training=[some(1), some(1)], validation=some(2))
    with pytest.raises(ValueError, match=message):
        game.page(**{**right, "labels": [0, 1], **wrong})
