"""The page in a real browser: it answers, is operable, and asks for nothing.

Needs the extra `browser` (Playwright, axe) and a Chromium of the system.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fit_support
import numpy as np
import pytest
import report_support
from report_support import CHROMIUM, FLAGS

from surrogate.data import Runs
from surrogate.views.explorer import page, write

playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is missing: install the extra `browser`"
)
HOSTILE = "</script><img src=x onerror=document.title='owned'>\x00\x1b[31m\u202e"
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.once,
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


class Tab:
    """A page under test, with all that went wrong in it."""

    def __init__(self, browser: Any, file: Path, hash: str = "", **how: Any) -> None:
        how = {"viewport": {"width": 1280, "height": 900}} | how
        self.context = browser.new_context(**how)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda said: self.faults.append(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._judge)
        self.file = file
        self.page.goto(f"file://{file}{hash}")
        self.settle()

    def _judge(self, request: Any) -> None:
        if request.url.split("#")[0] != f"file://{self.file}":
            self.faults.append(f"asked for {request.url}")

    def settle(self) -> None:
        """Wait for an answer of all draws, and for no later one to be under way."""
        self.page.wait_for_selector("html[data-ready]", state="attached")
        before = None
        while before != (now := self.count()):
            before = now
            self.page.wait_for_timeout(450)

    def count(self) -> int:
        return int(self.page.evaluate("document.documentElement.dataset.ready"))

    def hash(self) -> str:
        return self.page.evaluate("location.hash")

    def rows(self) -> dict[str, str]:
        """The answer as shown."""
        pairs = self.page.locator("#numbers dl > div").all()
        return {
            pair.locator("dt").inner_text(): pair.locator("dd").inner_text()
            for pair in pairs
        }

    def clipboard(self, button: str) -> str:
        self.page.get_by_role("button", name=button, exact=True).click()
        self.page.wait_for_timeout(100)
        return self.page.evaluate("navigator.clipboard.readText()")

    def close(self) -> None:
        assert self.faults == []
        self.context.close()


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "dense.html"
    fitted = fit_support.bundled()
    write(fitted, file, runs=fit_support.sweep(), name="steplaw-dense")
    return file


@pytest.fixture
def tab(browser: Any, dense: Path) -> Iterator[Tab]:
    opened = Tab(browser, dense)
    yield opened
    opened.close()


def test_answers_in_the_browser_are_those_of_python(browser: Any) -> None:
    """Iterative: both stop at rounding; 1e-9 relative was asked."""
    fitted = fit_support.bundled()
    asked = report_support.questions(fitted, 1000)
    expected = report_support.python_answers(fitted, asked)
    blank = browser.new_page()
    given = {"document": report_support.document(fitted), "asked": asked}
    script = f"(given) => {{ {page.joined(page.CORE)} {report_support.ANSWERS} }}"
    answered = blank.evaluate(script, given)
    blank.close()
    assert max(report_support.differences(answered, expected).values()) < 1e-9


def test_fields_and_sliders_move_the_answer_and_each_other(tab: Tab) -> None:
    before = tab.rows()
    tab.page.get_by_label("Parameters N", exact=True).fill("400M")
    tab.page.get_by_label("Training tokens D", exact=True).fill("2e10")
    tab.settle()
    found = fit_support.bundled().plateau(params=4e8, tokens=2e10)
    after = tab.rows()
    assert after != before
    assert after["best learning rate"] == f"{found.optimum[0]:.2e}"
    assert after["best batch"] == f"{round(found.optimum[1]):,} tokens"
    assert after["status"] == str(found.status)
    slider = tab.page.locator("[data-slider=params]")
    assert float(slider.input_value()) == pytest.approx(np.log(4e8), abs=1e-6)
    slider.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.settle()
    assert "n=476000000" in tab.hash()
    assert tab.page.get_by_label("Parameters N", exact=True).input_value() == "476M"


def test_tolerance_and_units_of_the_batch(tab: Tab) -> None:
    tab.page.get_by_label("Tolerance [%]", exact=True).fill("1%")
    tab.page.get_by_label("Batch in").select_option("sequences")
    tab.settle()
    assert "tol=0.01" in tab.hash()
    assert "seq=4096" in tab.hash()
    assert "learning rate within 1%" in tab.rows()
    assert tab.rows()["best batch"].endswith("x 4,096 tokens")
    field = tab.page.get_by_label("Your batch", exact=True)
    assert field.input_value() == "128"
    field.fill("256x2048")
    tab.settle()
    assert f"b={256 * 2048}" in tab.hash()


@pytest.mark.parametrize("typed", ["0.5", "0.5%", ".5"])
def test_a_bare_tolerance_is_per_cent(tab: Tab, typed: str) -> None:
    field = tab.page.get_by_label("Tolerance [%]", exact=True)
    field.fill(typed)
    tab.settle()
    assert "tol=0.005" in tab.hash().split("&")
    assert "learning rate within 0.5%" in tab.rows()
    assert tab.clipboard("Copy plateau command").endswith("--tol 0.5%")
    assert field.input_value() == "0.5%"
    field.fill("0,5")
    tab.settle()
    assert field.get_attribute("aria-invalid") == "true"
    assert "tol=0.005" in tab.hash().split("&")


def test_what_cannot_be_read_is_said_and_changes_nothing(tab: Tab) -> None:
    before = tab.hash()
    field = tab.page.get_by_label("Training tokens D", exact=True)
    field.fill("many")
    tab.settle()
    assert field.get_attribute("aria-invalid") == "true"
    assert "Expected a number above 0" in tab.page.locator("#ask").inner_text()
    assert tab.hash() == before


def test_hash_holds_the_question(browser: Any, dense: Path) -> None:
    asked = "#n=500000000&d=30000000000&lr=0.002&b=300000&tol=0.005&view=box"
    tab = Tab(browser, dense, asked)
    rows = tab.rows()
    found = fit_support.bundled().regret(
        params=5e8, tokens=3e10, lr=0.002, batch=300_000.0, tol=0.005
    )
    assert rows["your choice"] == "lr 2.00e-03, batch 300,000 tokens"
    assert rows["it loses"].startswith(f"{float(f'{1000 * found.regret:.3g}')}‰")
    tab.page.evaluate("location.hash = '#n=7e8&d=nonsense&%E0%A4%A&tol=2'")
    tab.settle()
    assert "n=700000000" in tab.hash()
    assert "tol=0.0025" in tab.hash()
    tab.close()


def test_answers_are_copied_as_text_and_as_commands(tab: Tab) -> None:
    text = tab.clipboard("Copy as text")
    assert text.startswith("For 1.07B parameters, 56.9B tokens\nbest learning rate")
    assert "95% interval" in text
    command = tab.clipboard("Copy plateau command")
    assert command == (
        "surrogate plateau steplaw-dense --params 1073741824 --tokens 56900000000 "
        "--tol 0.25%"
    )
    assert "--lr 0.00232 --batch 524288" in tab.clipboard("Copy regret command")
    assert tab.clipboard("Copy link").endswith(tab.hash())


HOSTILE_HASHES = (
    *(f"{key}={value}" for key in ("n", "d", "lr", "b") for value in (
        "1e300", "1e-300", "-1", "NaN", "Infinity", "", "0", "1e999", "0x10", "1e20"
    )),
    *(f"tol={value}" for value in ("1e-300", "-1", "1", "0.9999999", "1e300", "50%")),
    *(f"seq={value}" for value in ("1e300", "0", "-3", "1.5", "NaN", "1e12")),
    *("n=7", "toString=5", "__proto__=1", "view=x", "r=zzz", "s.active=1", "n=%E0%A4"),
    "n=1e300&d=1e-300&lr=-1&b=NaN&tol=2&seq=0.5&view=&r=zzz",
)  # fmt: skip


def test_a_hostile_address_is_refused_in_words(browser: Any, dense: Path) -> None:
    tab = Tab(browser, dense)
    first, answered = tab.hash(), tab.rows()
    said = tab.page.locator("#refused")
    assert said.inner_text() == ""
    for hostile in HOSTILE_HASHES:
        tab.page.evaluate("hash => { location.hash = hash; }", f"#{hostile}")
        tab.settle()
        for part in hostile.split("&"):
            assert f"The address has {part}, which is not used." in said.inner_text()
        shown = tab.page.locator("#numbers dd").first.inner_text()
        assert shown == answered["best learning rate"]
        assert tab.hash() == first
        tab.page.get_by_role("button", name="Near the plateau").click()
        tab.settle()
        assert said.inner_text() == ""
        assert tab.faults == [], hostile
    tab.close()


@pytest.mark.parametrize("hostile", ["n=1e300", "d=1e-300", "lr=1e300", "n=1e15"])
def test_a_page_opened_at_a_hostile_address_answers(
    browser: Any, dense: Path, hostile: str
) -> None:
    tab = Tab(browser, dense, f"#{hostile}")
    if hostile == "n=1e15":
        # As the command: a loss that no model has is no answer.
        assert tab.rows() == {"status": "not_identifiable"}
        said = tab.page.locator("#cautions").inner_text()
        assert said.startswith("The predicted loss is 31 nats a token, over 12")
    else:
        assert "unknown" not in tab.rows()["best learning rate"]
    tab.close()


def test_hostile_numbers_that_are_typed_change_nothing(tab: Tab) -> None:
    before = tab.hash()
    wrong = {"Parameters N": "7", "Training tokens D": "1e300", "Tolerance [%]": "100"}
    wrong |= {"Your learning rate": "1e-300", "Your batch": "1e300"}
    for label, typed in wrong.items():
        field = tab.page.get_by_label(label, exact=True)
        field.fill(typed)
        assert field.get_attribute("aria-invalid") == "true"
        told = tab.page.locator("#ask").inner_text()
        assert "Expected" in told or "did you mean" in told
    assert "did you mean 7B?" in tab.page.locator("#ask").inner_text()
    tab.page.get_by_label("Batch in").select_option("sequences")
    tab.page.get_by_label("of length", exact=True).fill("1e300")
    tab.page.keyboard.press("Tab")
    tab.settle()
    assert "Expected 1 to 1B" in tab.page.locator("#ask").inner_text()
    assert tab.hash() == f"{before}&seq=4096"


def test_skip_link_leaves_the_question_as_it_is(tab: Tab) -> None:
    tab.page.get_by_label("Parameters N", exact=True).fill("400M")
    tab.settle()
    tab.page.locator("a.skip").focus()
    tab.page.keyboard.press("Enter")
    tab.settle()
    assert tab.page.get_by_label("Parameters N", exact=True).input_value() == "400M"


def axes_and_choice(tab: Tab) -> list[str]:
    ticks = tab.page.locator("#map-area .tick").all_text_contents()
    fields = [tab.page.get_by_label(f"Your {n}", exact=True) for n in NAMED]
    return [*ticks, *(field.input_value() for field in fields)]


NAMED = ("learning rate", "batch")


@pytest.mark.parametrize("border", ["left", "right", "top", "bottom"])
def test_nothing_moves_while_the_hand_rests_at_a_border(tab: Tab, border: str) -> None:
    frame = tab.page.locator("#map-area .frame").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    mouse = tab.page.mouse
    mouse.move(x, y)
    mouse.down()
    to = {
        "left": (frame["x"] + 2, y),
        "right": (frame["x"] + frame["width"] - 2, y),
        "top": (x, frame["y"] + 2),
        "bottom": (x, frame["y"] + frame["height"] - 2),
    }[border]
    mouse.move(*to, steps=4)
    tab.page.wait_for_timeout(300)
    held = axes_and_choice(tab)
    for step in range(10):
        # A resting hand trembles.
        mouse.move(to[0] + step % 2, to[1])
        tab.page.wait_for_timeout(100)
    mouse.move(*to)
    tab.page.wait_for_timeout(200)
    assert axes_and_choice(tab) == held
    before = tab.page.locator("#map-area .choice").bounding_box()
    mouse.up()
    tab.settle()
    after = tab.page.locator("#map-area .choice").bounding_box()
    assert axes_and_choice(tab)[-2:] == held[-2:]
    # Let go, the map makes room for the choice again.
    assert max(abs(before[k] - after[k]) for k in "xy") > 8


def test_a_slider_keeps_its_scale_while_it_is_held(tab: Tab) -> None:
    tab.page.get_by_label("Parameters N", exact=True).fill("1T")
    slider = tab.page.locator("[data-slider=params]")
    tab.settle()
    box, mouse = slider.bounding_box(), tab.page.mouse
    read = "s => [s.min, s.max]"
    before = slider.evaluate(read)
    middle = box["y"] + box["height"] / 2
    mouse.move(box["x"] + box["width"] - 8, middle)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 2, middle, steps=5)
    tab.page.wait_for_timeout(200)
    assert slider.evaluate(read) == before
    lo, hi = map(float, before)
    at = float(slider.input_value())
    assert at == pytest.approx((lo + hi) / 2, abs=0.05 * (hi - lo))
    mouse.up()
    tab.settle()
    assert float(slider.evaluate(read)[1]) < hi


def test_the_robust_plateau_is_a_closed_region(browser: Any, dense: Path) -> None:
    """Where a scan line has two pieces, as 7B x 2T, it was a stack of dashes."""
    tab = Tab(browser, dense, "#n=7000000000&d=2000000000000")
    drawn = tab.page.locator("#map-area .robust")
    outline = drawn.get_attribute("d")
    assert outline.count("M") == outline.count("Z") <= 3
    box, rows = drawn.bounding_box(), tab.rows()
    assert box["width"] > 100
    assert "to" in rows["learning rate in 90% of draws"]
    middle = "p => { const b = p.getBBox(); return p.isPointInFill(new DOMPoint("
    middle += "b.x + b.width / 2, b.y + b.height / 2)); }"
    assert drawn.evaluate(middle)
    tab.close()


def test_an_interval_beyond_the_map_ends_in_an_arrow(
    browser: Any, dense: Path, tmp_path: Path
) -> None:
    fitted = fit_support.bundled()
    leaves = fitted.theta + 40 * (fitted.leaves - fitted.theta)
    write(replace(fitted, leaves=leaves), tmp_path / "wide.html")
    for file, arrows in ((dense, 0), (tmp_path / "wide.html", 4)):
        tab = Tab(browser, file)
        assert tab.page.locator("#map-area .interval").count() == 6
        assert tab.page.locator("#map-area .onward").count() == arrows
        legend = tab.page.locator("#map-body .legend").inner_text()
        assert ("beyond the map at an arrow" in legend) == (arrows > 0)
        tab.close()


def test_map_takes_clicks_and_arrow_keys(tab: Tab) -> None:
    area = tab.page.locator("#map-area")
    area.click(position={"x": 300, "y": 200})
    tab.settle()
    clicked = tab.hash()
    assert "lr=0.00232" not in clicked
    area.focus()
    tab.page.keyboard.press("ArrowLeft")
    tab.page.keyboard.press("ArrowUp")
    tab.settle()
    assert tab.hash() != clicked
    assert "Your choice loses" in tab.page.locator("#said").inner_text()


def test_every_control_is_reached_by_the_keyboard(tab: Tab) -> None:
    seen = set()
    for _ in range(40):
        tab.page.keyboard.press("Tab")
        seen.add(
            tab.page.evaluate(
                "(() => { const a = document.activeElement; return a.id || "
                "a.dataset.slider || a.dataset.view || a.textContent; })()"
            )
        )
    wanted = {"field0", "params", "batch", "unit", "Copy as text", "near", "map-area"}
    assert wanted <= seen


def test_page_fits_a_phone_in_the_dark(browser: Any, dense: Path) -> None:
    how = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    tab = Tab(browser, dense, **how)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
    colour = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(20, 22, 26)"
    tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, dense: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab = Tab(browser, dense, color_scheme=scheme)
    result = axe.Axe().run(tab.page)
    found = [v for v in result.response["violations"]]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in serious] == []
    tab.close()


def test_hostile_names_are_only_ever_text(browser: Any, tmp_path: Path) -> None:
    columns: dict[str, Any] = fit_support.rich_table()
    names = np.array([f"{HOSTILE}{i}" for i in range(len(columns["lr"]))])
    recipes = np.where(columns["recipe"] == "muon", HOSTILE, "adamw")
    columns["recipe"] = recipes
    runs = Runs.from_arrays(**columns, name=names)
    features = replace(fit_support.rich().features, recipes=("adamw", HOSTILE))
    cells = tuple(
        replace(c, recipe=HOSTILE if c.recipe == "muon" else c.recipe)
        for c in fit_support.rich().cells
    )
    fitted = replace(
        fit_support.rich(), features=features, cells=cells, warnings=(HOSTILE,)
    )
    write(fitted, tmp_path / "h.html", runs=runs, name=f"a'b{HOSTILE}")
    tab = Tab(browser, tmp_path / "h.html")
    tab.page.locator("#recipe").select_option(index=1)
    tab.settle()
    assert tab.page.title() == "surrogate explorer"
    assert tab.page.locator("img").count() == 0
    assert "r=" in tab.hash()
    shown = tab.page.locator("body").inner_text()
    assert "</script><img" in shown
    assert not {"\x00", "\x1b", "\u202e"} & set(shown)
    command = tab.clipboard("Copy plateau command")
    assert command.startswith("surrogate plateau $'a\\'b</script>")
    assert not {"\x00", "\x1b", "\u202e"} & set(command)
    tab.page.reload()
    tab.settle()
    assert tab.page.locator("#recipe").evaluate("s => s.selectedIndex") == 1
    tab.close()


@pytest.mark.parametrize("kind", ["lr_alone", "exact", "one_cell"])
def test_page_says_what_a_fit_cannot_tell(
    browser: Any, tmp_path: Path, kind: str
) -> None:
    if kind == "one_cell":
        from surrogate import fit

        columns = fit_support.table(sizes=fit_support.SIZES[:1])
        fitted = fit(Runs.from_arrays(**columns), family="quadratic", bootstrap=20)
    else:
        fitted = getattr(fit_support, kind)()
    write(fitted, tmp_path / "p.html")
    tab = Tab(browser, tmp_path / "p.html")
    text = tab.page.locator("main").inner_text()
    assert {
        "lr_alone": "no optimum over it can be told",
        "exact": "No intervals",
        "one_cell": "1 cell: intervals are over runs",
    }[kind] in text
    assert tab.page.locator("#slices-body figure").count() == len(
        fitted.features.choices
    )
    tab.close()
