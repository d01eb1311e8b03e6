"""The page that a privacy officer reads: what stands first, what is folded, what colours and drawing say."""

import copy
import re
import shutil

import pytest
import torch
from forgetting_fakes import UNSEEN, X, Y, forget, own_model, trained

from laf_utils.book.base import style
from laf_utils.forgetting.evidence import CRITICAL
from laf_utils.forgetting.page import AFTER, BEFORE, Report, picture

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def content():
    rows = torch.arange(len(X)) < 40
    model = trained(own_model(), X, Y)
    return forget(model, X[rows], X[~rows], unseen=UNSEEN, method="ts", scope="instances").report.content


def page(content, **changes):
    return Report(copy.deepcopy(content) | changes).html()


def test_the_verdict_stands_first_then_three_sentences_the_audit_what_was_not_tested_and_the_rest_is_folded(content):
    text = page(content, verdict="retraining advised", reasons=["one"])
    order = [
        'class="verdict"', "<b>retraining advised</b>", 'class="plain"', "<li>one</li>", "<svg", "What was not tested",
        "<details>", "<h2>Utility</h2>", "<h2>To repeat</h2>", "</details>\n</body>",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    first = text.split("<details>")[0]
    assert len(re.findall("<li>", first.split('class="plain"')[1].split("</ol>")[0])) == 3
    assert "<table" not in first and "<pre" not in first and "<details open" not in text


def items(text, before, after):
    """The list items between two marks of a page."""
    return re.findall(r"<li>(.*?)</li>", text.split(before)[1].split(after)[0], re.DOTALL)


def test_each_verdict_has_its_colour_and_its_word(content):
    pages = {verdict: page(content, verdict=verdict) for verdict in ("acceptable", "cannot tell", "retraining advised")}
    assert len({re.search(r"<html[^>]*>", text)[0] for text in pages.values()}) == 3
    assert len({text.split('class="verdict">')[1].split("</div>")[0] for text in pages.values()}) == 3


def test_the_colours_are_the_books(content):
    text = page(content)
    assert tuple(style.COLOURS[name] for name in ("original", "laf")) == (BEFORE, AFTER)
    assert f"--verdict:{style.FORGET}" in text and f"--line:{style.STYLE['grid.color']}" in text


@pytest.mark.parametrize("sureness", [-200.0, -1.01 * CRITICAL, -0.99 * CRITICAL, 0.0, 0.99 * CRITICAL, 1.01 * CRITICAL, 40.0])
def test_a_dot_lies_in_the_zone_where_it_is_no_finding(sureness):
    drawn = picture({"original": 31.0, "sureness": sureness})
    before, after = drawn["dots"]
    assert (drawn["low"] <= after["x"] <= drawn["high"]) == (abs(sureness) <= CRITICAL)
    assert before["x"] > drawn["high"] and all(64 <= dot["x"] <= 344 for dot in drawn["dots"])
    assert f"after {sureness:.1f}" in drawn["told"]


def test_without_an_audit_there_is_no_picture_and_it_says_so(content):
    text = page(content, evidence=None)
    assert "<svg" not in text and "There was no audit" in text and "No audit was possible" in text
    assert picture(None) is None


def test_what_is_known_follows_what_was_found(content):
    findings = ("none", "leak", "over-forgotten", "apart", "unclear")
    pages = [page(content, evidence=content["evidence"] | {"finding": finding}) for finding in findings]
    assert len({items(text, 'class="plain"', "</ol>")[1] for text in pages}) == 5
    lost = items(page(content, kept=False, utility={}), 'class="plain"', "</ol>")
    assert "has forgotten nothing" in lost[1] and "not measured" in lost[2]


def test_what_was_not_tested_follows_the_request(content):
    def untested(own):
        return items(page(own), "What was not tested", "</ul>")

    plain, images = untested(content), content["images"]
    assert len(untested(content | {"images": images | {"retain": 45_000}})) == len(plain) + 1
    assert len(untested(content | {"images": images | {"retain": 0, "unseen": 0}})) == len(plain) + 2
    assert len(untested(content | {"scope": content["scope"] | {"name": "class"}})) == len(plain) + 1


@pytest.mark.browser
@pytest.mark.skipif(not (CHROMIUM and shutil.which("chromedriver")), reason="needs chromium and chromedriver on the path")
def test_it_is_one_sheet_of_paper_and_fits_a_phone(content, tmp_path):
    import base64

    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    own = content | {"verdict": "retraining advised", "reasons": [f"reason {'x ' * 80}"] * 2, "notes": ["y " * 120]}
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        driver.get(Report(own).write(tmp_path).as_uri())
        for width in (390, 1280):
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == 390,
            })
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        printed = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
        assert len(re.findall(rb"/Type\s*/Page[^s]", printed)) == 1
    finally:
        driver.quit()
