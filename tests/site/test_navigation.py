"""What readers find from the first page, other versions, and addresses that are not there: `make browser`."""

import json

import pytest

pytestmark = [pytest.mark.browser]


def open_page(page, name):
    page.goto(f"/{name}.html")
    page.wait_for_load_state("networkidle")


def follow(page, text):
    """Click what shows a text, as a reader does who looks for it."""
    # By its place: all of a card is its link, which lies over the text.
    page.get_by_role("main").get_by_text(text, exact=True).first.click(force=True)
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize(
    ("clicks", "heading", "code"),
    [
        (["Train on your DataFrame"], "Tables", "model.fit(table"),
        (["Save and load"], "Files and formats", "model.save("),
        (["How fast is it?"], "Benchmarks", None),
        (["Start", "The first network"], "The first network", "model.save("),
        (["Start", "Which interface"], "Which interface", "MLPClassifier"),
        (["By field", "Images"], "Images", "fn.Conv2D("),
        (["Deploy"], "Deploy", "model.to_c("),
    ],
)
def test_what_newcomers_look_for_is_few_clicks_away(page, clicks, heading, code):
    open_page(page, "index")
    for text in clicks:
        follow(page, text)
    assert page.locator("h1").first.inner_text().startswith(heading)
    if code:
        assert code in "\n".join(page.locator("div.highlight").all_inner_texts())
    else:
        assert "PyTorch" in page.locator("table").first.inner_text()
    assert page.faults == []


def versions(page):
    """Open the list of versions; its rows as text and address."""
    page.locator(".version-switcher__button:visible").click()
    rows = page.locator(".versions:visible a")
    rows.first.wait_for()
    return rows


def test_one_version_is_listed_from_a_server(page, address):
    open_page(page, "api/layers")
    button = page.locator(".version-switcher__button:visible")
    shown = button.inner_text().strip()
    with page.expect_response("**/switcher.json"):
        rows = versions(page)
    assert rows.all_inner_texts() == [shown]
    assert rows.first.get_attribute("aria-current") == "true"
    rows.first.click()
    page.wait_for_load_state("networkidle")
    assert page.url.rstrip("#") == f"{address}/api/layers.html"
    assert page.faults == []


@pytest.mark.parametrize(
    ("name", "opened"),
    [("api/layers", "api/layers.html"), ("tasks", "index.html")],
    ids=["same page", "gone"],
)
def test_a_later_version_is_listed_and_opened(page, address, name, opened):
    """A release that was published after this site was built has added its row."""
    rows = [
        {"version": "dev", "name": "dev", "url": "../dev/"},
        {"version": "9.0", "name": "9.0", "url": "../9.0/"},
    ]
    page.route("**/switcher.json", lambda route: route.fulfill(body=json.dumps(rows)))

    def later(route):
        there = route.request.url.endswith(("/9.0/index.html", "/9.0/api/layers.html"))
        route.fulfill(status=200 if there else 404, body="a later version", content_type="text/html")

    page.route("**/9.0/**", later)
    open_page(page, name)
    with page.expect_response("**/switcher.json"):
        found = versions(page)
    found.nth(1).wait_for()
    assert found.all_inner_texts() == ["dev", "9.0"]
    found.nth(1).click()
    page.wait_for_url(f"{address}/9.0/{opened}")
    assert page.locator("body").inner_text() == "a later version"


@pytest.mark.parametrize("name", ["index", "api/layers"])
def test_the_site_works_from_files(browser, html, name):
    """Without a server pages are quiet, versions are listed and the search finds a class."""
    page, faults = browser.new_page(), []
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request", lambda request: request.url.startswith(("file:", "data:")) or faults.append(request.url)
    )
    page.goto((html / f"{name}.html").as_uri())
    assert versions(page).count() >= 1
    assert faults == []  # from here on: the search shows no excerpts, for which it must fetch pages
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("EarlyStopping")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html*")
    result = page.locator("#search-results a", has_text="EarlyStopping").first
    result.wait_for()
    result.click()
    page.locator("h1", has_text="EarlyStopping").wait_for()
    assert "fastnn.EarlyStopping" in page.url
    page.close()


@pytest.mark.parametrize(
    "missing", ["nothing.html", "api/generated/fastnn.Nothing.html", "dev/api/nothing.html"]
)
def test_a_missing_page_says_so_and_leads_on(page, address, missing):
    def shifted(route):  # as if the site were in a folder
        route.continue_(url=route.request.url.replace("/dev/", "/"))

    page.route("**/dev/**", shifted)
    answer = page.goto(f"/{missing}")
    page.wait_for_load_state("networkidle")
    assert answer.status == 404
    assert page.locator("h1").first.inner_text() == "Page not found"
    assert not [fault for fault in page.faults if "nothing" not in fault.lower() and "404" not in fault]
    page.get_by_text("the guide by task").click()
    page.wait_for_load_state("networkidle")
    assert page.locator("h1").first.inner_text().startswith("Guide by task")
    page.goto(f"/{missing}")
    page.get_by_role("searchbox").fill("EarlyStopping")
    page.keyboard.press("Enter")
    page.locator("#search-results a", has_text="EarlyStopping").first.wait_for()
