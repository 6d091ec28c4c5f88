"""The dashboard, used as a person does: `lambda-durable dev`, and Chromium on its pages, wide and narrow."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from contextlib import contextmanager

import pytest
from emulated_dynamodb import dynamodb_local
from hostile import HOSTILE
from lists import table_of, world_of
from pages import CHROMIUM, PROGRAM, WATCH, Dev
from toolbox import ROOT

if CHROMIUM is None:
    pytest.skip("no Chromium: `apt-get install chromium` brings one", allow_module_level=True)

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect, sync_playwright

from lambda_durable.api import create
from lambda_durable.dashboard import Dashboard
from lambda_durable.doctor.examination import Patient
from lambda_durable.runtime.bulk import AT_ONCE

SCREENSHOTS = os.environ.get("LAMBDA_DURABLE_SCREENSHOTS")
"""A folder for pictures of the pages: see scripts/screenshots."""

WIDE, NARROW = 1280, 375
LEVEL_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    dev = Dev(tmp_path_factory.mktemp("dev"), "shop.py" if SCREENSHOTS else "hostile.py")
    yield dev
    dev.stop()


@contextmanager
def refused_cards(dev):
    """While it is open, `charge` fails."""
    broken = dev.folder / "broken"
    broken.touch()
    try:
        yield
    finally:
        broken.unlink()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        sandbox = [] if os.geteuid() else ["--no-sandbox"]  # Chromium's needs a user
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(params=[WIDE, NARROW], ids=["wide", "narrow"])
def page(request, dev, browser):
    """A page that has taken the token; in the end nothing was refused by the policy, or thrown."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 820},
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
        bypass_csp=False,
    )
    context.add_init_script(WATCH)
    page = context.new_page()
    page.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    page.goto(f"{dev.address}/#token={dev.token}")
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    yield page
    assert page.evaluate("window.trouble") == []
    context.close()


def said(page: Page, status: str):
    """The status of the run that is shown."""
    return page.locator(".head .status", has_text=re.compile(f"^{status}$"))


def step(page: Page, name: str):
    return page.locator(".timeline > li", has=page.locator("b", has_text=re.compile(f"^{re.escape(name)}$")))


def messages(page: Page):
    return page.get_by_role("log", name="Messages").get_by_role("listitem")


def fits(page: Page) -> bool:
    """Whether nothing makes the whole page scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def send(page: Page, name: str, data: object) -> None:
    """Send an event, and go to it."""
    page.get_by_role("button", name="Send event", exact=True).click()
    dialog = page.get_by_role("dialog", name="Send an event")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Data (JSON)").fill(json.dumps(data))
    dialog.get_by_role("button", name="Send", exact=True).click()
    page.locator(".notice a").last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Event")


def test_an_event_is_sent_and_its_run_is_watched_until_it_has_completed(page, dev):
    send(page, "shop/checkout", {"sku": "tea", "amount": 7, "pause": "6s"})
    page.get_by_role("link", name="checkout", exact=True).click()

    expect(step(page, "cool-off").locator(".status.is-waiting")).to_be_visible()
    expect(said(page, "running")).to_be_visible()
    expect(messages(page)).to_have_count(2)
    expect(messages(page).last).to_contain_text('order{"state":"charged","order":"A-7","amount":7}')
    expect(said(page, "completed")).to_be_visible()  # without a click: it is looked at again and again
    expect(messages(page)).to_have_count(3)
    expect(messages(page).last).to_contain_text('{"state":"confirmed"}')
    step(page, "charge").locator("button.step").click()
    expect(page.get_by_label("Output of charge", exact=True)).to_contain_text('"order": "A-7"')
    expect(page.get_by_label("Output", exact=True)).to_contain_text('"amount": 7')
    page.get_by_text("What it cost").click()
    bill = page.get_by_role("table", name="What it cost")
    expect(bill.locator("tr", has_text="DynamoDB write units")).to_contain_text(re.compile(r"\$0\.0000\d+"))
    expect(page.locator("details.sheet")).to_contain_text(re.compile(r"\$0\.000\d+ in \d+ invocations"))
    check_access(page)


def test_a_failure_is_understood_and_the_run_done_again_from_its_step_to_success(page, dev):
    with refused_cards(dev):
        send(page, "shop/checkout", {"sku": "tin", "amount": 9})
        page.get_by_role("link", name="checkout", exact=True).click()
        expect(said(page, "failed")).to_be_visible()
    expect(page.locator("main > .page > div > .problem")).to_contain_text("the card was refused: 402 for 9")
    page.get_by_role("button", name="Show step charge").click()
    detail = step(page, "charge").locator(".detail")
    expect(detail).to_contain_text("CardError")
    detail.locator("summary").click()
    expect(detail.get_by_label("Traceback", exact=True)).to_contain_text("raise CardError")
    assert fits(page)

    failed = page.url
    detail.get_by_role("button", name="Rerun from here…").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_label("From").input_value() == "charge"
    dialog.get_by_label("Data of its event (JSON)").fill('{"sku": "tin", "amount": 8}')
    dialog.get_by_role("button", name="Rerun", exact=True).click()

    expect(page).not_to_have_url(failed)
    expect(said(page, "completed")).to_be_visible()
    expect(step(page, "reserve")).to_contain_text("kept")
    expect(page.get_by_label("Output", exact=True)).to_contain_text('"order": "A-8"')
    page.get_by_role("definition").filter(has_text="from step charge").get_by_role("link").click()
    expect(page).to_have_url(failed)
    expect(page.locator("dl.facts", has_text="done again")).to_be_visible()


def test_a_sleeping_run_is_cancelled(page, dev):
    page.goto(dev.url("functions", "night"))
    page.get_by_role("button", name="Start…").click()
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()

    expect(step(page, "night").locator(".status.is-waiting")).to_be_visible()
    expect(page.get_by_label("What it waits for")).to_contain_text("night")
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the run").click()

    expect(said(page, "cancelled")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel…")).to_have_count(0)


def test_a_callback_a_signal_and_an_event_are_brought_to_the_run_that_waits_for_them(page, dev):
    order = f"o-{page.viewport_size['width']}"
    send(page, "shop/refund", {"order": order})
    page.get_by_role("link", name="refund", exact=True).click()
    waits = page.get_by_label("What it waits for")

    waits.get_by_role("button", name="Complete…").click()
    page.get_by_role("dialog").get_by_label("Result (JSON)").fill('{"by": "Ada"')
    page.get_by_role("dialog").get_by_role("button", name="Complete", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Result (JSON) is no JSON")  # it says so, and stays
    page.get_by_role("dialog").get_by_label("Result (JSON)").fill('{"by": "Ada"}')
    page.get_by_role("dialog").get_by_role("button", name="Complete", exact=True).click()

    waits.get_by_role("button", name="Send the signal…").click()
    page.get_by_role("dialog").get_by_label("Data (JSON)").fill("true")
    page.get_by_role("dialog").get_by_role("button", name="Send", exact=True).click()

    expect(waits).to_contain_text(f'event bank/paid with the value "{order}"')
    waits.get_by_role("button", name="Send the event…").click()
    page.get_by_role("dialog").get_by_label("Data (JSON)").fill(json.dumps({"order": order}))
    page.get_by_role("dialog").get_by_role("button", name="Send", exact=True).click()

    expect(said(page, "completed")).to_be_visible()
    expect(waits).to_be_hidden()
    output = page.get_by_label("Output", exact=True)
    expect(output).to_contain_text('"by": "Ada"')
    expect(output).to_contain_text('"checked": true')
    expect(output).to_contain_text('"paid": true')


def test_a_callback_is_failed(page, dev):
    run_id = dev.command("send", "--name", "shop/refund", "--data", '{"order": "o-fails"}')[0]["id"]
    page.goto(dev.url("events", run_id))
    page.get_by_role("link", name="refund", exact=True).click()
    page.get_by_role("button", name="Fail…").first.click()
    page.get_by_role("dialog").get_by_label("What went wrong").fill("the customer <i>said</i> no")
    page.get_by_role("dialog").get_by_role("button", name="Fail", exact=True).click()

    expect(said(page, "failed")).to_be_visible()
    expect(page.locator("main")).to_contain_text("the customer <i>said</i> no")


TABS = 8
"""More than a browser has connections to one server."""


def test_a_run_is_followed_in_many_tabs_and_each_is_told(page, dev):
    sent = dev.send("shop/refund", {"order": f"o-tabs-{page.viewport_size['width']}"})
    run_id = dev.until(lambda: dev.command("events", "shop/refund", "--limit", "1"))[0]["runs"]["refund"]
    assert sent
    tabs = [page, *(page.context.new_page() for _ in range(TABS - 1))]
    for tab in tabs:
        tab.goto(dev.url("runs", run_id))
        expect(messages(tab)).to_have_text([re.compile("waits.*for a person")])
    tabs[-1].get_by_role("button", name="Complete…").click()
    tabs[-1].get_by_role("dialog").get_by_role("button", name="Complete", exact=True).click()
    for tab in tabs:
        expect(messages(tab)).to_have_count(2)
        expect(messages(tab).last).to_contain_text("for a machine")
    tabs[-1].get_by_role("button", name="Cancel…").click()
    tabs[-1].get_by_role("button", name="Cancel the run").click()
    for tab in tabs:
        expect(said(tab, "cancelled")).to_be_visible()


MANY, FEW = 2 * AT_ONCE, AT_ONCE
"""Two portions, and one of them."""


def test_many_runs_are_cancelled_and_done_again_portion_by_portion(page, dev):
    function = "refund"
    dev.command("cancel", "--function", function, "--yes")
    dev.until(lambda: not dev.command("runs", function, "--status", "running"))
    entry = {
        "EventBusName": dev.variables["LAMBDA_DURABLE_BUS"], "Source": "test", "DetailType": "shop/refund",
        "Detail": '{"order": "o-many"}',
    }  # fmt: skip
    for _ in range(MANY // 10):
        dev.client("events").put_events(Entries=[entry] * 10)
    dev.until(lambda: len(dev.command("runs", function, "--status", "running", "--limit", "100")) == MANY)
    asked: list[dict] = []
    page.route(re.compile("/v1/(replays|cancellations)$"), lambda route: small(route, asked))
    page.goto(dev.url("functions", function))

    page.get_by_role("button", name="Cancel many…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("And for which this holds").fill("event.data.nothing ==")
    dialog.get_by_role("button", name="Cancel those runs").click()
    expect(dialog.get_by_role("alert")).to_contain_text("if_exp")  # it says so, and stays
    dialog.get_by_label("And for which this holds").fill("")
    check_access(page)
    dialog.get_by_role("button", name="Cancel those runs").click()
    expect(
        page.locator(".notice", has_text=f"Of {MANY} runs, {MANY} runs are being cancelled.")
    ).to_be_visible()
    assert len(asked) == 4  # the one that was refused, two portions, and that there is no more
    dev.until(lambda: not dev.command("runs", function, "--status", "running"))

    page.get_by_role("button", name="Replay many…").click()
    dialog.get_by_label("Those that").select_option("cancelled")
    dialog.get_by_label("That began at or after").fill("2020-01-01T00:00:00")
    check_access(page)
    asked.clear()
    page.unroute_all()
    stopped = []
    page.route("**/v1/replays", lambda route: stopping(route, page, asked, stopped))
    dialog.get_by_role("button", name="Replay", exact=True).click()
    expect(
        page.locator(".notice", has_text=f"Stopped after {FEW} runs: {FEW} runs are done again.")
    ).to_be_visible()
    assert len(asked) == 1
    dev.until(lambda: len(dev.command("runs", function, "--status", "running", "--limit", "100")) == FEW)
    assert fits(page)


def small(route, asked):
    """A portion that is as small as can be."""
    asked.append(route.request.post_data_json)
    route.continue_(post_data=json.dumps({**asked[-1], "look_at": 1}))


def stopping(route, page, asked, stopped):
    """Likewise, and the dialog is closed meanwhile."""
    page.keyboard.press("Escape")
    small(route, asked)


def test_a_run_is_paused_and_goes_on(page, dev):
    send(page, "shop/checkout", {"sku": "jam", "amount": 1, "pause": "3s"})
    page.get_by_role("link", name="checkout", exact=True).click()
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".tag", has_text="paused")).to_be_visible()
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(said(page, "completed")).to_be_visible()


def test_a_function_is_paused_and_resumed_and_its_runs_are_drawn(page, dev):
    dev.send("shop/checkout", {"sku": "fig", "amount": 2})
    dev.run_of("checkout", "--status", "completed")
    page.get_by_role("navigation").get_by_role("link", name="Functions").click()
    expect(page.get_by_role("heading", name="Functions", exact=True)).to_be_visible()
    expect(page.locator("tbody tr", has_text="checkout")).to_contain_text("shop/checkout")
    page.get_by_role("link", name="checkout", exact=True).click()
    expect(
        page.get_by_role("img", name=re.compile(r"Runs by when they began: .*\d+ completed"))
    ).to_be_visible()
    page.get_by_role("button", name="Pause…").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".tag", has_text="paused")).to_be_visible()

    page.get_by_role("navigation").get_by_role("link", name="Queues").click()
    expect(page.locator("tbody tr", has_text="checkout").first).to_contain_text("paused")
    page.goto(dev.url("functions", "checkout"))
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_role("button", name="Pause…")).to_be_visible()


def test_an_event_is_listed_with_what_it_started_and_one_that_started_nothing_says_so(page, dev):
    sent = dev.send("shop/refund", {"order": "o-listed"})
    page.goto(dev.url("events?name=shop%2Frefund"))

    row = page.locator("tbody tr", has_text=sent)
    expect(row.get_by_role("link", name="refund", exact=True)).to_be_visible()
    row.get_by_role("link", name=sent, exact=True).click()
    expect(page.get_by_label("Data", exact=True)).to_contain_text("o-listed")
    page.goto(dev.url("events?name=shop%2Fnothing"))
    expect(page.get_by_text("No shop/nothing has come.")).to_be_visible()


def test_a_dead_letter_is_inspected_and_redriven(page, dev):
    run_id = dev.command("send", "--name", "shop/refund", "--data", '{"order": "o-dead"}')[0]["id"]
    run_id = dev.until(lambda: dev.command("events", "shop/refund"))[0]["runs"]["refund"]
    queue = dev.variables["LAMBDA_DURABLE_DEAD_LETTER_URL"]
    body = json.dumps({"kind": "continue", "run": run_id})
    dev.client("sqs").send_message(QueueUrl=queue, MessageBody=body)
    page.get_by_role("navigation").get_by_role("link", name="Dead letters").click()

    row = page.locator("tbody tr", has_text=run_id)
    row.get_by_role("button", name="Inspect").click()
    expect(page.get_by_role("dialog").get_by_label("Body", exact=True)).to_contain_text(run_id)
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Redrive 1 letter").click()

    expect(page.locator(".notice", has_text="1 letter redriven")).to_be_visible()
    expect(page.get_by_text("No message was given up.")).to_be_visible()


RUNS = 10_000


@pytest.fixture
def many(browser, tmp_path):
    """A page of the dashboard of an app that had so many runs, and the address."""
    with dynamodb_local(tmp_path) as endpoint:
        api = create(Patient(world=world_of(table_of(endpoint, RUNS))))
        with Dashboard(lambda: api) as dashboard:
            page = browser.new_page()
            page.goto(dashboard.url)
            expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
            yield page, dashboard.url.partition("/#")[0]
            page.close()


def test_ten_thousand_runs_are_paged_through_and_each_is_seen_once(many):
    page, address = many
    seen: list[str] = []
    for function in ("order", "audit", "report"):
        page.goto(f"{address}/runs?function={function}")
        number = 1
        while True:
            expect(page.locator(".pages")).to_have_attribute("data-page", str(number))
            ids = page.locator("tbody tr td:nth-child(3)").all_inner_texts()
            assert len(ids) <= 50  # however far one goes
            seen += ids
            if page.get_by_role("button", name="Older").is_disabled():
                break
            page.keyboard.press("n")
            number += 1
    assert (len(seen), len(set(seen))) == (RUNS, RUNS)
    page.keyboard.press("p")
    expect(page.locator(".pages")).to_have_attribute("data-page", str(number - 1))
    expect(page.locator("tbody tr")).to_have_count(50)


def test_runs_are_filtered_by_all_that_is_known_of_them(page, dev):
    for sku, amount in (("ham", 3), ("egg", 30)):
        dev.send("shop/checkout", {"sku": sku, "amount": amount, "pause": "20d"})
    dev.until(lambda: len(dev.command("runs", "checkout", "--status", "running")) >= 2)

    page.get_by_label("Function").select_option("checkout")
    page.get_by_label("Status").select_option("running")
    page.get_by_label("Label").fill("egg")
    page.get_by_label("Label").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1 if page.viewport_size["width"] == WIDE else 2)
    page.get_by_label("Label").fill("")
    page.get_by_label("Where").fill("event.data.amount < 5 && event.data.pause == '20d'")
    page.get_by_label("Where").press("Enter")
    expect(page.locator("tbody tr .tag", has_text="ham").first).to_be_visible()
    expect(page.locator("tbody tr .tag", has_text="egg")).to_have_count(0)
    expect(page.locator(".pages")).to_contain_text(re.compile(r"Looked at \d+ runs, back to"))

    page.reload()  # the address has the filters
    expect(page.locator("tbody tr .tag", has_text="ham").first).to_be_visible()
    page.get_by_label("Where").fill("event.data.amount <")
    page.get_by_label("Where").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("where")  # which says what is wrong with it


def test_the_keyboard_is_enough(page, dev):
    dev.run_of("checkout")
    page.goto(dev.url("runs?function=checkout"))
    expect(page.locator("tbody tr").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    row = page.locator("tbody tr.here")
    expect(row).to_have_count(1)
    function = row.get_by_role("link").first.inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(function)

    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.get_by_role("heading", name="Functions")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("t")
    first = page.locator("html").get_attribute("data-theme")
    page.keyboard.press("t")
    assert {first, page.locator("html").get_attribute("data-theme")} == {"light", "dark"}
    page.keyboard.press("s")
    expect(page.get_by_role("dialog", name="Send an event")).to_be_visible()
    page.get_by_role("dialog").get_by_label("Name").fill("gr?")  # typed, and no command
    assert page.get_by_role("dialog").get_by_label("Name").input_value() == "gr?"


def test_a_run_of_a_thousand_steps_is_shown_whole_and_searched(page, dev):
    dev.send("shop/import", {"rows": 1000})
    run_id = dev.run_of("import", "--status", "completed")
    page.goto(dev.url("runs", run_id))

    expect(page.locator(".timeline > li")).to_have_count(1000)
    page.get_by_label("Find a step").fill("row-77")
    expect(page.get_by_text("11 of 1,000 steps")).to_be_visible()
    assert fits(page)


def test_what_a_user_controls_stays_text(page, dev):
    """Names, ids, data, labels, outputs, errors, signals, run ids. A function's id can't have such characters."""
    dev.client("events").put_events(
        Entries=[
            {
                "EventBusName": dev.variables["LAMBDA_DURABLE_BUS"],
                "Source": HOSTILE,
                "DetailType": HOSTILE,
                "Detail": json.dumps(
                    {HOSTILE: HOSTILE, "lambda_durable": {"id": f"{HOSTILE}{page.viewport_size['width']}"}}
                ),
            }
        ]
    )
    waiting = dev.until(lambda: dev.command("events", HOSTILE))[0]["runs"]["hostile"]
    page.goto(dev.url("runs?function=hostile"))
    expect(page.locator("tbody tr .tag", has_text=HOSTILE).first).to_be_visible()
    page.goto(dev.url("runs", waiting))
    expect(page.get_by_label("What it waits for")).to_contain_text(f"signal {HOSTILE}")
    expect(messages(page)).to_have_count(2)
    expect(messages(page).first.locator("b")).to_have_text(HOSTILE)
    messages(page).last.locator("summary").click()
    expect(page.get_by_label(f"Data of {HOSTILE} long", exact=True)).to_contain_text("onerror")
    page.get_by_role("button", name="Send the signal…").click()
    page.get_by_role("dialog").get_by_label("Data (JSON)").fill(json.dumps(HOSTILE))
    page.get_by_role("dialog").get_by_role("button", name="Send", exact=True).click()
    expect(said(page, "failed")).to_be_visible()
    for name in page.locator(".timeline b").all_inner_texts():
        step(page, name).locator("button.step").click()
    expect(page.get_by_label(f"Output of {HOSTILE}", exact=True)).to_contain_text("onerror")
    expect(page.locator(".timeline .problem")).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Rerun…").click()
    page.keyboard.press("Escape")

    page.locator("dd > a", has_text=HOSTILE).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    expect(page.get_by_label("Data", exact=True)).to_contain_text("onload")
    page.locator("dd > a", has_text=HOSTILE).click()
    expect(page.locator("tbody tr").first).to_contain_text(HOSTILE)

    page.goto(dev.url("functions", "hostile"))
    expect(page.locator("main")).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Start…").click()
    page.get_by_role("dialog").get_by_label("Run id").fill(f"{HOSTILE}{page.viewport_size['width']}")
    page.get_by_role("dialog").get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(said(page, "cancelled")).to_be_visible()

    queue = dev.variables["LAMBDA_DURABLE_DEAD_LETTER_URL"]
    dev.client("sqs").send_message(QueueUrl=queue, MessageBody=HOSTILE)
    page.goto(dev.url("dead-letters"))
    page.get_by_role("button", name="Inspect").first.click()
    expect(page.get_by_role("dialog").get_by_label("Body", exact=True)).to_contain_text("onerror")
    page.get_by_role("button", name="Close").click()
    page.goto(dev.url("functions", HOSTILE))
    expect(page.locator("main")).to_contain_text("no function of this id")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src='x'], svg[onload], script:not([src])").count() == 0
    assert fits(page)


PAGES = ["runs", "run", "functions", "function", "events", "event", "queues", "dead-letters", "overdue"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_page_can_be_used_by_all(page, dev, theme):
    """WCAG 2.2, levels A and AA, as far as axe can tell."""
    with refused_cards(dev):
        event = dev.send("shop/checkout", {"sku": "tin", "amount": 9})
        failed = dev.run_of("checkout", "--status", "failed")
    for body in ('{"kind": "unheard of"}', json.dumps({"kind": "continue", "run": failed})):
        dev.client("sqs").send_message(
            QueueUrl=dev.variables["LAMBDA_DURABLE_DEAD_LETTER_URL"], MessageBody=body
        )
    if SCREENSHOTS:
        populate(dev)
    there = {
        "run": dev.url("runs", failed),
        "function": dev.url("functions", "checkout"),
        "event": dev.url("events", event),
        "events": dev.url("events?name=shop%2Fcheckout"),
    }
    page.evaluate(f"localStorage.setItem('lambda-durable-theme', '{theme}')")
    for name in PAGES:
        page.goto(there.get(name, dev.url(name)))
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if name == "run":
            expect(page.get_by_role("button", name="Show step charge")).to_be_visible()
            page.get_by_role("button", name="Show step charge").click()
        photograph(page, name, theme)
        check_access(page)
    page.goto(there["run"])
    for button in ("Rerun…", "Send event"):
        page.get_by_role("button", name=button, exact=True).click()
        check_access(page)
        page.keyboard.press("Escape")


def populate(dev: Dev) -> None:
    """Something to be seen."""
    for amount, sku in enumerate(("tea", "ham", "jam", "rye", "oil", "egg", "tea", "tin", "fig")):
        dev.send("shop/checkout", {"sku": sku, "amount": 10 * amount, "pause": "3d" if amount == 4 else "2s"})
    dev.send("shop/refund", {"order": "A-30"})
    dev.command("pause", "import")
    dev.send("shop/import", {"rows": 3})
    dev.until(lambda: len(dev.command("runs", "checkout", "--status", "completed")) >= 8)


def check_access(page: Page) -> None:
    page.evaluate("window.scrollTo(0, 0)")  # nothing is half below the bar
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": LEVEL_AA}})
    assert [
        (each["id"], [node["html"] for node in each["nodes"]]) for each in found.response["violations"]
    ] == []
    assert fits(page)


def photograph(page: Page, name: str, theme: str) -> None:
    """A picture for the documentation, when it is asked for."""
    if SCREENSHOTS and theme == "light" and page.viewport_size["width"] == WIDE:
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=str(ROOT / SCREENSHOTS / f"{name}.png"), full_page=name == "run")


def test_without_the_token_nothing_is_shown_but_the_way_to_it(browser, dev):
    context = browser.new_context()
    page = context.new_page()
    page.goto(dev.url("runs"))
    expect(page.get_by_role("alert")).to_contain_text("open the address that `lambda-durable` printed")
    page.goto(f"{dev.address}/#token=another")
    expect(page.get_by_role("alert")).to_contain_text("open the address that `lambda-durable` printed")
    context.close()


def test_the_file_that_opens_it_leads_to_its_pages(browser, dev):
    opened = dev.folder / "opened.html"
    (script := dev.folder / "browser.sh").write_text(f'cp "${{1#file://}}" {opened}\n')
    browser_of_user = {"BROWSER": f"sh {script} %s"}
    environment = {**os.environ, **dev.variables, **browser_of_user, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*PROGRAM, "dashboard", "--open"], env=environment, stdout=subprocess.DEVNULL)
    page = browser.new_context().new_page()
    try:
        dev.until(lambda: opened.exists() and opened.read_text())
        page.goto(opened.as_uri())
        expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        assert "token" not in page.url
    finally:
        page.context.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_the_token_leaves_the_address_at_once_and_its_page_cannot_be_embedded(page, browser, dev):
    assert dev.token not in page.url
    page.go_back()
    assert dev.token not in page.url
    page.goto(dev.url("runs"))
    other = browser.new_page()
    other.set_content(f'<iframe src="{dev.url("runs")}"></iframe>')
    other.wait_for_load_state("networkidle")
    assert all("Runs" not in (frame.locator("body").inner_text()) for frame in other.frames[1:])
    other.close()


def test_a_page_says_so_when_its_server_is_gone_and_goes_on_when_it_is_back(page, dev):
    page.goto(dev.url("runs"))
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
