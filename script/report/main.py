"""What script/test-report runs: makes two pages and tries them as a person would; one line a check."""

import os
import shutil
import subprocess
import sys
import time

from selenium.webdriver.common.keys import Keys

import generate
from browser import CONTRAST, Browser

TESTS = 10_000
# Bounds that a slow machine keeps too; what was measured is printed.
LOAD_SECONDS = 6
FILTER_SECONDS = 0.6
PAGE_BYTES = 21 << 20

REAL_TESTS = {
    "good": "exit 0",
    "slow": "sleep 0.4",
    "bad": "printf '</script><script>window.hacked=1</script> \\033[31mred\\n'; exit 3",
    "late": "# docker-test: profile=short\nsleep 9",
    "skipped": "exit 77",
}


class Checks:
    """Counts what held and what did not."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, holds, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'ok    ' if holds else 'FAILED'} {what}" + (f": {detail}" if detail != "" else ""), flush=True)


def project(work, name, tests):
    folder = os.path.join(work, name)
    os.makedirs(os.path.join(folder, "test"))
    for test, script in tests.items():
        with open(os.path.join(folder, "test", f"{test}_test.sh"), "w", encoding="utf-8") as file:
            file.write(script + "\n")
    with open(os.path.join(folder, "docker-test.yaml"), "w", encoding="utf-8") as file:
        file.write("profiles:\n  short: { timeout: 1s }\n")
    return folder


def real_page(program, work):
    """By a run itself, without an engine: everybody has that."""
    folder = project(work, "real", REAL_TESTS)
    page = os.path.join(folder, "page.html")
    subprocess.run([program, "run", "--engine", "host", "--html", page], cwd=folder, capture_output=True, check=False)
    return page


def large_page(program, work):
    folder = project(work, "large", {"a": "exit 0"})
    subprocess.run([program, "run", "--engine", "host"], cwd=folder, capture_output=True, check=True)
    stored = generate.fill(os.path.join(folder, "test-results", "docker-test.db"), TESTS, 20)
    page = os.path.join(folder, "page.html")
    began = time.time()
    subprocess.run([program, "report", generate.RUN[:12], "-o", page], cwd=folder, check=True)
    print(f"       {TESTS} tests with 20 earlier runs: written in {time.time() - began:.2f} s, {os.path.getsize(page) / 1e6:.1f} MB")
    return page, stored


def text(browser, selector):
    return browser.run("const found = document.querySelector(arguments[0]); return found && found.textContent", selector)


def shown_rows(browser):
    return browser.run("return document.querySelectorAll('#rows tr').length")


def focused(browser):
    return browser.run("const at = document.activeElement; return at.id || at.tagName + ' ' + at.textContent.slice(0, 40)")


def is_open(browser):
    return browser.run("return document.getElementById('test').open")


def timed_input(browser, name, value):
    """Seconds from an input to the second frame after it."""
    return browser.driver.execute_async_script("""
        const [id, value, done] = arguments;
        const field = document.getElementById(id);
        const began = performance.now();
        field.value = value;
        field.dispatchEvent(new Event("input", { bubbles: true }));
        requestAnimationFrame(() => requestAnimationFrame(() => done((performance.now() - began) / 1000)));
    """, name, value)


def no_sideways(browser, checks, what):
    for width in (1280, 375):
        browser.width(width)
        time.sleep(0.3)
        size = browser.run("return [document.documentElement.scrollWidth, innerWidth, document.getElementById('test').scrollWidth, document.getElementById('test').clientWidth]")
        checks.check(f"{what}: no horizontal scroll at {width} px", size[0] <= size[1] and size[2] <= size[3], size)
    browser.width(1280)


def try_large(browser, checks, page, stored):
    checks.check("its size is bounded", os.path.getsize(page) < PAGE_BYTES)
    browser.open(page)
    load = browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
    checks.check(f"it loads in {LOAD_SECONDS} s", 0 < load < LOAD_SECONDS, f"{load:.2f} s")
    checks.check("every test is listed", text(browser, "#status") == f"{TESTS} tests", text(browser, "#status"))
    for name, value in (("text", "billing"), ("text", ""), ("outcome", "fail"), ("violation", "any")):
        taken = timed_input(browser, name, value)
        checks.check(f"{name} '{value}' filters in {FILTER_SECONDS} s", taken < FILTER_SECONDS, f"{taken * 1000:.0f} ms")
    checks.check("filters are joined", " of 10000 tests" in text(browser, "#status"), text(browser, "#status"))
    browser.run("document.getElementById('clear').click()")
    names = set(browser.run("return JSON.parse(document.getElementById('data').textContent).tests"))
    checks.check("every name is there", len(names) == len(stored), len(names))
    checks.check("the timeline has a plot", browser.run("return document.querySelector('#timeline-plot canvas').width > 0"))
    try_hostile(browser, checks)


def try_hostile(browser, checks):
    hostile = ["</script>", "<img src", "\\u{2028}", "quotes'`&amp;", "\\x1b[31m", "\\u{202e}", "\u05e9\u05dc\u05d5\u05dd", "long_long_long",
               "\\xff\\xfe", "<!--", "__proto__", "constructor", "{{ 7 * 7 }}", "e\u0301\u0301", "new\\nline", "100%25&a=b"]
    for part in hostile:
        timed_input(browser, "text", part)
        opened = browser.driver.execute_async_script("""
            const done = arguments[arguments.length - 1];
            const link = document.querySelector("#rows a");
            if (link === null) { done(null); return; }
            link.click();
            requestAnimationFrame(() => requestAnimationFrame(() => done(document.getElementById("test").open && document.getElementById("test-name").textContent)));
        """)
        checks.check(f"opens the test {part!r}", bool(opened) and part in opened, "" if opened else opened)
        browser.run("document.getElementById('test').close()")
    browser.run("document.getElementById('clear').click()")
    checks.check("nothing of it ran", browser.run("return window.hacked === undefined"))


def try_keyboard(browser, checks, page):
    browser.open(page)
    browser.keys(Keys.TAB)
    checks.check("the first Tab reaches the skip link", "Skip" in focused(browser), focused(browser))
    order = []
    for _ in range(40):
        browser.keys(Keys.TAB)
        order.append(focused(browser))
        visible = browser.run("const style = getComputedStyle(document.activeElement); return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2")
        if not visible:
            checks.check("what has the focus shows it", False, order[-1])
            break
        if order[-1].startswith("A test/"):
            break
    wanted = ["theme", "text", "outcome", "profile", "violation", "clear"]
    checks.check("Tab goes through the controls to the rows", [one for one in order if one in wanted] == wanted and order[-1].startswith("A test/"), order[-1])
    first = focused(browser)
    browser.keys(Keys.ARROW_DOWN)
    checks.check("the arrows walk the rows", focused(browser) != first and focused(browser).startswith("A test/"))
    browser.keys(Keys.ARROW_UP)
    for _ in range(26):
        browser.keys(Keys.ARROW_DOWN)
    checks.check("and on to the next page", text(browser, "#page").startswith("Page 2 of"), text(browser, "#page"))
    at = focused(browser)
    browser.keys(Keys.ENTER)
    time.sleep(0.3)
    checks.check("Enter opens a test, which takes the focus", is_open(browser) and focused(browser) == "test-name", focused(browser))
    checks.check("its address can be handed on", "#test=" in browser.driver.current_url)
    browser.keys(Keys.ESCAPE)
    time.sleep(0.3)
    checks.check("Escape closes it and gives the focus back", not is_open(browser) and focused(browser) == at, focused(browser))
    checks.check("and the address is the page's again", "test=" not in browser.driver.current_url, browser.driver.current_url)
    browser.keys("/")
    checks.check("/ reaches the search", focused(browser) == "text")
    browser.keys("fail")
    checks.check("typing searches", " of " in text(browser, "#status"), text(browser, "#status"))
    browser.keys(Keys.ENTER)
    checks.check("Enter goes to the first row", focused(browser).startswith("A test/"))
    browser.keys("/")
    browser.keys(Keys.ESCAPE)
    checks.check("Escape clears it", text(browser, "#status") == "10000 tests", text(browser, "#status"))


def try_test(browser, checks, page):
    browser.open(page, "#test=test%2Fsearch%2Fcase_00005_test.sh")
    time.sleep(0.5)
    checks.check("a deep link opens its test", is_open(browser) and text(browser, "#test-name") == "test/search/case_00005_test.sh")
    checks.check("four plots appear", browser.run("return document.querySelectorAll('#test-body canvas').length") == 4)
    ink = browser.run("""
        const canvas = document.querySelector("#test-body canvas");
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return pixels.filter((value, at) => at % 4 === 3 && value > 0).length;""")
    checks.check("and something is drawn", ink > 1000, ink)
    checks.check("each has words for who cannot see it", browser.run("return Array.from(document.querySelectorAll('#test-body [role=img]')).every((one) => one.getAttribute('aria-label').length > 5)"))
    no_sideways(browser, checks, "a test")
    browser.open(page, "#test=nothing")
    checks.check("an address of no test is told", "not on this page" in text(browser, "#status"), text(browser, "#status"))
    browser.open(page, "#outcome=oom&text=jobs")
    checks.check("an address keeps filters", browser.run("return document.getElementById('outcome').value") == "oom" and " of " in text(browser, "#status"), text(browser, "#status"))


def try_looks(browser, checks, page, screenshots, axe):
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        browser.open(page)
        browser.run("for (const one of document.querySelectorAll('details')) one.open = true")
        time.sleep(0.4)
        seen, wrong = browser.run(CONTRAST)
        checks.check(f"{scheme}: contrast of every text is 4.5 or more", seen > 100 and not wrong, wrong or f"{seen} texts")
        shoot(browser, screenshots, f"page-{scheme}")
        hold_axe(browser, checks, axe, f"{scheme}, page")
        browser.run("location.hash = '#test=test%2Fsearch%2Fcase_00005_test.sh'")
        time.sleep(0.5)
        seen, wrong = browser.run(CONTRAST)
        checks.check(f"{scheme}: and of a test", seen > 30 and not wrong, wrong or f"{seen} texts")
        shoot(browser, screenshots, f"test-{scheme}")
        hold_axe(browser, checks, axe, f"{scheme}, test")
        browser.width(375)
        shoot(browser, screenshots, f"test-narrow-{scheme}")
        browser.run("document.getElementById('test').close()")
        shoot(browser, screenshots, f"page-narrow-{scheme}")
        browser.width(1280)
    background = "return getComputedStyle(document.body).backgroundColor"
    dark = browser.run(background)
    browser.run("document.getElementById('theme').click()")
    checks.check("the toggle overrules the system", browser.run(background) != dark and text(browser, "#theme") == "Theme: light")
    browser.scheme("light")
    browser.run("localStorage.clear()")


def shoot(browser, folder, name):
    if folder:
        browser.driver.save_screenshot(os.path.join(folder, name + ".png"))


def hold_axe(browser, checks, axe, what):
    if not axe:
        return
    with open(axe, encoding="utf-8") as file:
        browser.run(file.read())
    found = browser.driver.execute_async_script("""
        const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ["violations"] }).then((all) => done(all.violations.map((one) =>
          one.id + ": " + one.nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", "))), (error) => done([String(error)]));""")
    checks.check(f"{what}: axe finds nothing", not found, found or "")


def try_real(browser, checks, page):
    checks.check("a run writes its page", os.path.exists(page))
    browser.open(page)
    checks.check("it has the run's tests", text(browser, "#status") == f"{len(REAL_TESTS)} tests", text(browser, "#status"))
    checks.check("what is not good comes first", browser.run("return document.querySelector('#rows .outcome').textContent") in ("fail exit(3)", "timeout wall"))
    browser.open(page, "#test=test%2Fbad_test.sh")
    checks.check("it has what a bad test wrote", "<script>window.hacked=1</script> red" in (text(browser, "#test-body pre") or ""))
    checks.check("and that is text", browser.run("return window.hacked === undefined"))


def main():
    program, work, screenshots, axe = sys.argv[1:5]
    checks = Checks()
    real = real_page(program, work)
    large, stored = large_page(program, work)
    browser = Browser()
    try:
        browser.driver.set_script_timeout(60)
        browser.width(1280)
        try_real(browser, checks, real)
        try_large(browser, checks, large, stored)
        try_keyboard(browser, checks, large)
        try_test(browser, checks, large)
        browser.open(large)
        no_sideways(browser, checks, "the page")
        try_looks(browser, checks, large, screenshots, axe)
        if not axe:
            print("       no AXE: axe-core's rules are not held")
        browser.listen()
        checks.check("the console is silent", not browser.console, browser.console[:5] or "")
        strange = [url for url in browser.requests if url not in (f"file://{real}", f"file://{large}", "data:,", "about:blank") and not url.startswith(f"file://{large}#") and not url.startswith(f"file://{real}#")]
        checks.check("nothing was asked of a network", not strange, strange[:5] or "")
    finally:
        browser.close()
    if screenshots:
        shutil.copy(large, screenshots)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
