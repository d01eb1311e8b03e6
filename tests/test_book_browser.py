"""The built book in a real browser: what a reader meets, on a desktop and on a phone, with the network switched off.

Needs ``make book`` and Chromium with its driver (Debian: ``chromium``, ``chromium-driver``); run with ``make book-test``.
"""

import functools
import http.server
import json
import os
import shutil
import threading
from pathlib import Path

import pytest
import yaml

from laf_utils.support.paths import ROOT

HTML = Path(os.environ.get("LAF_BOOK") or ROOT / "_build" / "html")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)
DESKTOP, PHONE = (1280, 900), (390, 844)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (HTML / "search.html").is_file(), reason="the book is not built: make book"),
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the path"),
]


def pages() -> list[str]:
    """Every page of the table of contents."""
    found = []

    def walk(node: object) -> None:
        for part in node if isinstance(node, list) else []:
            found.append(part["file"])
            walk(part.get("sections"))

    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    found.append(toc["root"])
    for part in toc["parts"]:
        walk(part["chapters"])
    return found


@pytest.fixture(scope="module")
def address():
    """The built book over HTTP on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(HTML)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A fresh Chromium that reports what it asked for and what went wrong."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    profile = tmp_path_factory.mktemp("chromium")
    # Every name but this machine's is unknown, so that a page that needs another machine shows it.
    for flag in (*FLAGS, f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


def show(browser, address: str, page: str, size: tuple[int, int] = DESKTOP) -> None:
    """Load a page at a size of window and wait until mathematics is drawn."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE},
    )
    browser.get_log("browser"), browser.get_log("performance")
    browser.get(f"{address}/{page}")
    browser.set_script_timeout(60)
    browser.execute_async_script("""
        const done = arguments[0];
        const ready = () => window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => done()) : done();
        document.readyState === "complete" ? ready() : window.addEventListener("load", ready);
    """)


def problems(browser) -> list[str]:
    """Console errors and requests that left this machine, since the page was asked for."""
    found = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if not url.startswith(("http://127.0.0.1", "data:", "blob:", "chrome:", "chrome-untrusted:", "about:")):
                found.append(f"asked for {url}")
    # The theme declares one unused constant of its live-code feature twice on each page.
    return [problem for problem in found if "THEBE_JS_URL" not in problem]


def images(browser) -> list[dict]:
    return browser.execute_script("""
        return [...document.querySelectorAll("article img")].map(image => (
            {source: image.getAttribute("src"), alt: image.getAttribute("alt"), width: image.naturalWidth}));
    """)


@pytest.mark.parametrize("page", pages())
def test_page(browser, address, page) -> None:
    """No console error, no other machine, mathematics drawn, images there and described."""
    show(browser, address, f"{page}.html")
    assert problems(browser) == []
    assert browser.execute_script("return document.querySelectorAll('article h1').length") == 1
    undrawn = browser.execute_script("""
        return [...document.querySelectorAll("article .math")].filter(
            formula => !formula.querySelector("mjx-container") || formula.querySelector("mjx-merror")).map(f => f.textContent);
    """)
    assert undrawn == []
    assert "<IPython" not in browser.execute_script("return document.querySelector('article').innerText"), "nothing was displayed"
    for image in images(browser):
        assert image["width"] > 0, f"{image['source']} is not there"
        described = image["alt"] and not image["alt"].startswith(("../", "_images"))
        assert described and len(image["alt"]) > 10, f"{image['source']} has no description"


@pytest.mark.parametrize("page", pages())
def test_page_on_a_phone(browser, address, page) -> None:
    """Nothing makes the page itself scroll sideways, and the title is its largest heading."""
    show(browser, address, f"{page}.html", PHONE)
    wide = browser.execute_script("""
        const room = document.documentElement.clientWidth;
        return [document.documentElement.scrollWidth, room];
    """)
    sizes = browser.execute_script("""
        return [...document.querySelectorAll("article :is(h1, h2, h3)")].map(h => parseFloat(getComputedStyle(h).fontSize));
    """)
    assert sizes[0] > max(sizes[1:], default=0)
    assert wide[0] <= wide[1], f"{page} is {wide[0]} pixels wide in a window of {wide[1]}"


@pytest.mark.parametrize("page", [page for page in pages() if not page.startswith("pages/api")])
@pytest.mark.parametrize("wide", [True, False], ids=["desktop", "phone"])
def test_the_deciding_column_is_seen_beside_the_name(browser, address, page, wide) -> None:
    """In every table, folded ones too: on a phone name and deciding column are seen together, on a desktop all columns.

    What decides is the gap, the verdict, the distance to the retrained model or the time, else the column after the name.
    """
    show(browser, address, f"{page}.html", *([] if wide else [PHONE]))
    hidden = browser.execute_async_script("""
        const [wide, done] = arguments, decisive = /^(gap|verdict|distance to|time$)/;
        document.querySelectorAll("article .cell_output details").forEach(part => { part.open = true; });
        const cut = table => {
            const box = table.closest(".pst-scrollable-table-container, details, .output, article");
            const heads = [...table.querySelectorAll("thead tr:first-child th")];
            const decides = heads.slice(1).find(head => decisive.test(head.innerText)) || heads[1] || heads[0];
            return (wide ? table : decides).getBoundingClientRect().right > box.getBoundingClientRect().right + 1;
        };
        setTimeout(() => done([...document.querySelectorAll("article table:has(thead th)")].filter(cut).map(
            table => table.textContent.replace(/[^ -~]+/g, " ").trim().slice(0, 80))), 200);
    """, wide)
    assert hidden == []


@pytest.mark.parametrize("page", ["pages/method", "notebooks/LAF", "notebooks/03_representation_adaptation"])
def test_equations_fit_their_column_on_a_phone(browser, address, page) -> None:
    """None is cut off: what is wider than the column shrinks, to half its size at most."""
    show(browser, address, f"{page}.html", PHONE)
    cut = browser.execute_async_script("""
        const done = arguments[0], boxes = () => [...document.querySelectorAll("mjx-container[display=true]")];
        setTimeout(() => done(boxes().filter(box => box.scrollWidth > box.clientWidth + 1).length), 500);
    """)
    assert cut == 0


def test_mathematics_is_on_the_method_page(browser, address) -> None:
    show(browser, address, "pages/method.html")
    drawn = browser.execute_script("return document.querySelectorAll('article mjx-container').length")
    assert drawn > 50


def test_search_finds_a_word(browser, address) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    show(browser, address, "search.html?q=saturates")
    links = WebDriverWait(browser, 30).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#search-results li a"))
    assert any("departures" in link.get_attribute("href") or "method" in link.get_attribute("href") for link in links)
    assert problems(browser) == []


def test_search_opens_from_a_page(browser, address) -> None:
    """The button on every page leads to the results."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    show(browser, address, "pages/index.html")
    button = next(b for b in browser.find_elements(By.CSS_SELECTOR, ".search-button, .search-button-field") if b.is_displayed())
    button.click()
    field = next(f for f in browser.find_elements(By.CSS_SELECTOR, "input[name=q]") if f.is_displayed())
    field.send_keys("retrained" + Keys.ENTER)
    WebDriverWait(browser, 30).until(lambda b: "search.html" in b.current_url)
    WebDriverWait(browser, 30).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#search-results li a"))


def background(browser) -> list[int]:
    return parts(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))


def parts(colour: str) -> list[int]:
    """Red, green and blue of ``rgb(1, 2, 3)``."""
    return [int(float(part)) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]


def test_a_figure_says_what_is_under_the_pointer(browser, address) -> None:
    """The picture of the first page: the words of LAF's mark, where LAF's mark is; nothing away from every mark."""
    show(browser, address, "pages/index.html")
    said = browser.execute_script("""
        const image = document.querySelector("article .cell_output img"), note = document.querySelector(".laf-hover-note");
        const points = JSON.parse(document.querySelector("script.laf-hover").textContent);
        const box = image.getBoundingClientRect(), pad = parseFloat(getComputedStyle(image).paddingLeft);
        const at = ([x, y]) => ({clientX: box.left + pad + x * (box.width - 2 * pad) / 100,
                                 clientY: box.top + pad + y * (box.height - 2 * pad) / 100});
        image.dispatchEvent(new PointerEvent("pointermove", at(points.find(p => p[2].startsWith("LAF:")))));
        const near = note.hidden ? "" : note.textContent;
        image.dispatchEvent(new PointerEvent("pointermove", at([0, 0])));
        return [near, note.hidden];
    """)
    assert said[0].startswith("LAF: gap ") and said[1]
    assert browser.execute_script("return document.querySelector('meta[name=description]').content.length") > 50


def test_light_and_dark(browser, address) -> None:
    """The page follows the reader's system, and the button changes it."""
    from selenium.webdriver.common.by import By

    for scheme, is_dark in (("dark", True), ("light", False)):
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        show(browser, address, "pages/records.html")
        assert (max(background(browser)) < 90) == is_dark
        picture = browser.execute_script(
            "const i = document.querySelector('article .cell_output img'); return i && getComputedStyle(i).backgroundColor")
        assert picture in (None, "rgb(255, 255, 255)")  # figures are drawn on white and stay readable
    seen = set()
    for _ in range(3):  # light, dark, as the system
        next(b for b in browser.find_elements(By.CSS_SELECTOR, ".theme-switch-button") if b.is_displayed()).click()
        seen.add(max(background(browser)) < 90)
    assert seen == {True, False}
    browser.execute_script("localStorage.clear()")


def test_tables_of_notebooks_are_readable_in_the_dark(browser, address) -> None:
    """No pale card under pale words: what lies behind a table's numbers is as dark as the page."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    show(browser, address, "notebooks/LAF.html")
    behind = browser.execute_script("""
        const clear = colour => colour === "transparent" || colour.endsWith(", 0)");
        return [...document.querySelectorAll("article .cell_output table td")].map(cell => {
            let box = cell;
            while (box.parentElement && clear(getComputedStyle(box).backgroundColor)) box = box.parentElement;
            return getComputedStyle(box).backgroundColor;
        });
    """)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "light"}]})
    assert behind
    for colour in set(behind):
        assert max(parts(colour)) < 90, colour


def test_first_page_leads_to_the_book(browser, address) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(f"{address}/")
    WebDriverWait(browser, 30).until(lambda b: b.current_url.endswith("pages/index.html"))
