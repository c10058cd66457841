"""The page in a browser: pictures load, nothing sticks out, light and dark differ."""

import html
import io
import json
import re
import shutil
import subprocess

import matplotlib.image
import pytest
from made_runs import made

from jaxbias import report

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")

# Nothing of a browser's own goes out, and root may start it.
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--hide-scrollbars --force-device-scale-factor=1"
).split()

MEASURE = """<script>addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument;
  const style = page.defaultView.getComputedStyle(page.body);
  document.title = JSON.stringify({
    width: page.documentElement.scrollWidth,
    images: [...page.images].map((image) => image.naturalWidth),
    shown: [...page.querySelectorAll("thead")].map((head) => head.offsetHeight > 0),
    ground: style.backgroundColor, text: style.color });
});</script>"""


def browse(tmp_path, *options):
    """What the browser prints."""
    done = subprocess.run(
        [BROWSER, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", *options],
        capture_output=True,
        timeout=120,
        check=True,
    )
    return done.stdout.decode()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browsed")
    made(folder / "runs" / "one")
    made(folder / "runs" / "two", seed=3, note="unbroken" * 40)
    made(folder / "runs" / ("cut" * 30), finish=False)
    report.write([folder / "runs"], folder / "out")
    return folder / "out" / "index.html"


def measured(tmp_path, written, width, dark):
    """What a page of this width looks like, by a frame of a page that may run scripts."""
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    text = policy.sub("", written.read_text(encoding="utf-8"))
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<meta charset="utf-8">{MEASURE}<meta name="color-scheme" content="light dark">'
        f'<iframe width="{width}" height="900" style="border:0" '
        f'srcdoc="{html.escape(text)}"></iframe>'
    )
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    dom = browse(tmp_path, scheme, "--window-size=1500,1000", "--dump-dom", f"{frame}")
    title = re.search(r"<title>(\{.*?\})</title>", dom)
    assert title, dom[-500:]
    return json.loads(html.unescape(title[1]))


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_and_is_read_in_light_and_dark(tmp_path, written, width, dark):
    found = measured(tmp_path, written, width, dark)
    assert found["images"] == [5, 5, 2_000, 2_000]
    # Nothing makes the page itself wider than the screen.
    assert found["width"] <= width
    # Headings of columns on a wide screen; on a narrow one each cell has its own.
    assert found["shown"] == [width > 800] * len(found["shown"]) != []
    ground, text = (
        sum(map(int, re.findall(r"\d+", found[name])[:3]))
        for name in ("ground", "text")
    )
    assert (ground < 150 and text > 600) if dark else (ground > 700 and text < 150)


def test_the_page_itself_paints(tmp_path, written):
    """As it is, its own rules about what may load in force."""
    picture = tmp_path / "page.png"
    browse(tmp_path, "--window-size=1000,3000", f"--screenshot={picture}", f"{written}")
    pixels = matplotlib.image.imread(io.BytesIO(picture.read_bytes()), format="png")
    assert pixels.shape[:2] == (3_000, 1_000)
    # The wide grey figure of each run is there, side by side and scaled to fit.
    grey = (abs(pixels[..., :3] - 0.2) < 0.01).all(axis=-1)
    assert (grey.mean(axis=1) > 0.9).sum() > 80
