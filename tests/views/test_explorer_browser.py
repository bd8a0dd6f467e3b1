"""The page in a real browser: it answers, is operable, and asks for nothing.

Needs the extra `browser` (Playwright, axe) and a Chromium of the system.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support
from support import report as report_support
from support.browser import MARKS, Tab, browser

from surrogate.data import Runs
from surrogate.views.explorer import page, write

HOSTILE = "</script><img src=x onerror=document.title='owned'>\x00\x1b[31m\u202e"
pytestmark = MARKS
__all__ = ["browser"]


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


def test_a_size_is_typed_as_people_write_it(tab: Tab) -> None:
    tab.type("params", "400m")
    tab.type("tokens", "50x")
    found = fit_support.bundled().plateau(params=4e8, tokens=2e10)
    use = found.decision.suggestion
    assert use is not None
    assert f"use lr {use.lr:.0e}".replace("e-0", "e-") in tab.said()
    assert "on 20B tokens" in tab.said()
    assert f"batch {use.batch / 1024:.0f}Ki" in tab.said()
    assert "n=400000000&d=20000000000" in tab.hash()
    tab.type("params", "7b")
    tab.type("tokens", "2t")
    assert "For a 7B model on 2T tokens use lr 6.4e-4, batch 3Mi" in tab.said()
    assert "Too uncertain to rely on: 7B is 6.5 times" in tab.said()
    tab.type("seq", "8192")
    assert "384 × 8,192 tokens" in tab.said()  # noqa: RUF001 - as it is shown
    tab.type("tol", "0.5")
    assert "tol=0.005" in tab.hash()


def test_there_is_no_own_choice_until_one_is_made(tab: Tab) -> None:
    assert "lr=" not in tab.hash()
    assert "Yours" not in tab.said()
    assert tab.page.locator("#map-area .choice").count() == 0
    tab.type("lr", "3e-4")
    # The batch begins at what is suggested.
    assert "Yours: lr 3e-4 at batch 512Ki loses" in tab.said()
    tab.type("batch", "1024x4096")
    assert "at batch 4Mi loses" in tab.said()
    lost = fit_support.bundled().regret(
        params=1073741824.0, tokens=56.9e9, lr=3e-4, batch=2.0**22
    )
    assert f"{100 * lost.regret:.2g} % of the loss" in tab.said()
    assert f"{100 * lost.decision.price.share:.2g} % of the tokens" in tab.said()
    tab.type("lr", "")
    assert "Yours" not in tab.said()
    assert "lr=" not in tab.hash()


def test_brackets_move_by_arrows_and_by_dragging(tab: Tab) -> None:
    tab.bracket("params").focus()
    tab.page.keyboard.press("ArrowUp")
    tab.settle()
    assert "n=1100000000" in tab.hash()
    tab.page.keyboard.press("PageDown")
    tab.settle()
    assert "n=550000000" in tab.hash()
    box, mouse = tab.bracket("tokens").bounding_box(), tab.page.mouse
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    ticks = tab.page.locator("#map-area .tick").all_text_contents()
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 72, y, steps=8)
    tab.page.wait_for_timeout(300)
    # Axes wait for the hand.
    assert tab.page.locator("#map-area .tick").all_text_contents() == ticks
    assert tab.bracket("tokens").input_value() == "66B"
    mouse.up()
    tab.settle()
    assert "d=66000000000" in tab.hash()


def test_what_cannot_be_read_is_said_and_changes_nothing(tab: Tab) -> None:
    before, said = tab.hash(), tab.page.locator("#refused")
    wrong = {"params": "7", "tokens": "many", "tol": "100", "lr": "1e-300"}
    for key, text in (wrong | {"batch": "512k", "seq": "1e300"}).items():
        tab.bracket(key).fill(text)
        assert tab.bracket(key).get_attribute("aria-invalid") == "true"
        tab.bracket(key).press("Enter")
        assert "What was there stays." in said.inner_text()
        assert tab.hash() == before
        if key == "params":
            assert "did you mean 7B?" in said.inner_text()
        if key == "batch":
            assert "512Ki (524,288 tokens)" in said.inner_text()


def test_hash_holds_the_question(browser: Any, dense: Path) -> None:
    asked = "#n=500000000&d=30000000000&lr=0.002&b=300000&tol=0.005&view=box"
    tab = Tab(browser, dense, f"{asked}&gpus=512&gpu=b200&keep.batch=1048576")
    rows = tab.rows()
    found = fit_support.bundled().regret(
        params=5e8, tokens=3e10, lr=0.002, batch=300_000.0, tol=0.005
    )
    assert rows["your choice"] == "lr 2e-3, batch 293Ki tokens"
    assert rows["it loses"].startswith(f"{100 * found.regret:.2g} % of the loss")
    assert "at your batch 1Mi" in tab.said()
    assert tab.bracket("gpus").input_value() == "512"
    tab.page.evaluate("location.hash = '#n=7e8&d=nonsense&%E0%A4%A&tol=2'")
    tab.settle()
    assert "n=700000000" in tab.hash()
    assert "tol=0.0025" in tab.hash()
    tab.close()


def test_answers_are_copied_as_words_and_as_commands(tab: Tab) -> None:
    assert tab.clipboard("Copy sentence") == tab.said()
    text = tab.clipboard("Copy as text")
    assert text.startswith("For 1.07B parameters, 56.9B tokens\nbest learning rate")
    command = tab.clipboard("Copy plateau command")
    assert command == (
        "surrogate plateau steplaw-dense --params 1073741824 --tokens 56900000000 "
        "--tol 0.25%"
    )
    assert "--lr 0.0012 --batch 524288" in tab.clipboard("Copy regret command")
    assert tab.clipboard("Copy link").endswith(tab.hash())


def test_pictures_and_numbers_are_taken_away(tab: Tab) -> None:
    for button, begins in (
        ("Map as SVG", b"<svg"),
        ("Map as PNG", b"\x89PNG"),
        ("Ladder as CSV", b"batch_tokens,sequences,lr"),
        ("Answer as JSON", b"{\n"),
    ):
        with tab.page.expect_download() as waiting:
            tab.page.get_by_role("button", name=button, exact=True).click()
        found = Path(waiting.value.path()).read_bytes()
        assert found.startswith(begins)
        assert len(found) > 300


HOSTILE_HASHES = (
    *("n=1e300", "d=1e-300", "lr=-1", "b=NaN", "n=Infinity", "d=", "b=0x10", "tol=1"),
    *("seq=1.5", "gpus=1e300", "mfu=2", "keep.lr=1e300", "keep.x=1", "gpu=toString"),
    *("n=7", "toString=5", "__proto__=1", "view=x", "r=zzz", "s.active=1", "n=%E0%A4"),
    "n=1e300&d=1e-300&lr=-1&b=NaN&tol=2&seq=0.5&view=&r=zzz",
)


def test_a_hostile_address_is_refused_in_words(browser: Any, dense: Path) -> None:
    tab = Tab(browser, dense)
    first, answered = tab.hash(), tab.said()
    said = tab.page.locator("#refused")
    assert said.inner_text() == ""
    for hostile in HOSTILE_HASHES:
        tab.page.evaluate("hash => { location.hash = hash; }", f"#{hostile}")
        tab.settle()
        assert tab.hash() == first
        for part in hostile.split("&"):
            assert f"The address has {part}, which is not used." in said.inner_text()
        assert tab.faults == [], hostile
    tab.settle()
    assert tab.said() == answered
    tab.close()


@pytest.mark.parametrize("hostile", ["n=1e300", "lr=1e300&d=1e-300", "n=1e15"])
def test_a_page_opened_at_a_hostile_address_answers(
    browser: Any, dense: Path, hostile: str
) -> None:
    tab = Tab(browser, dense, f"#{hostile}")
    if hostile == "n=1e15":
        # As the command: a loss that no model has is no answer.
        assert tab.rows() == {"status": "not_identifiable"}
        assert "The predicted loss is 31 nats a token, over 12" in tab.said()
    else:
        assert "use lr 1.2e-3, batch 512Ki" in tab.said()
    tab.close()


def axes_and_choice(tab: Tab) -> list[str]:
    ticks = tab.page.locator("#map-area .tick").all_text_contents()
    return [*ticks, *(tab.bracket(key).input_value() for key in ("lr", "batch"))]


def test_nothing_moves_while_the_hand_rests_at_a_border(tab: Tab) -> None:
    mouse = tab.page.mouse
    for border in ("left", "right", "top", "bottom"):
        frame = tab.page.locator("#map-area .frame").bounding_box()
        x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
        to = {
            "left": (frame["x"] + 2, y),
            "right": (frame["x"] + frame["width"] - 2, y),
            "top": (x, frame["y"] + 2),
            "bottom": (x, frame["y"] + frame["height"] - 2),
        }[border]
        mouse.move(x, y)
        mouse.down()
        mouse.move(*to, steps=4)
        tab.page.wait_for_timeout(300)
        held = axes_and_choice(tab)
        tab.page.wait_for_timeout(1000)
        assert axes_and_choice(tab) == held
        mouse.up()
        tab.settle()
        assert axes_and_choice(tab)[-2:] == held[-2:]
        tab.page.locator("#map-area").press("Escape")
        tab.settle()


def test_a_choice_snaps_to_what_can_be_typed_and_is_read_out(tab: Tab) -> None:
    area = tab.page.locator("#map-area")
    area.hover(position={"x": 300, "y": 120})
    tip = tab.page.locator("#map-area .tip")
    text = tip.inner_text()
    assert text.startswith("lr ")
    for word in ("batch", "steps", "loses", "of the tokens", "% of refits", "diverges"):
        assert word in text
    area.click(position={"x": 300, "y": 120})
    tab.settle()
    lr, batch = (
        float(tab.page.evaluate(f"/{k}=([^&]*)/.exec(location.hash)[1]"))
        for k in ("lr", "&b")
    )
    assert lr == float(f"{lr:.1e}")
    assert batch in {n * 2.0**k for n in (4, 5, 6, 7) for k in range(30)}
    # On its own setting a sentence and a tip say the same.
    area.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("ArrowLeft")
    tab.settle()
    assert tip.inner_text().split("loses ")[1].split(":")[0] in tab.said()


def test_settings_are_pinned_kept_in_the_address_and_let_go(
    browser: Any, dense: Path
) -> None:
    tab = Tab(browser, dense, "#n=7e9&d=2e12&pin=1e-3,2097152&pin=1e-3")
    assert "which is not used" in tab.page.locator("#refused").inner_text()
    pin, pins = tab.page.locator("#pin"), tab.page.locator("#pins li")
    assert pins.count() == 1
    assert pin.is_disabled()
    tab.type("lr", "3e-4")
    tab.type("batch", "4Mi")
    pin.click()
    tab.settle()
    assert pin.is_disabled()
    assert pins.count() == 2
    # A pin loses what the sentence says of the same setting.
    loses = pins.nth(1).inner_text().split("loses ")[1].split(" %")[0]
    assert f"loses {loses} %" in tab.said()
    assert tab.page.locator(".layer-pins .pin").count() == 2
    assert tab.hash().count("pin=") == 2
    again = Tab(browser, dense, tab.hash())
    assert again.page.locator("#pins li").count() == 2
    again.page.locator("#pins li").first.get_by_role("button").first.click()
    again.settle()
    assert "lr=0.001&" in again.hash()
    again.page.locator("#pins").get_by_role("button", name="Unpin").first.click()
    again.settle()
    assert again.hash().count("pin=") == 1
    again.close()
    tab.close()


def test_the_optimum_plays_along_tokens_and_comes_back(tab: Tab) -> None:
    assert tab.page.locator(".layer-fan .fan").count() == 60
    assert tab.page.locator(".layer-trail .trail").get_attribute("d")
    asked, play = tab.hash(), tab.page.locator("#play")
    play.click()
    tab.wait("document.querySelector(\"[data-key='tokens']\").value === '4B'")
    tab.wait("document.querySelector(\"[data-key='tokens']\").value !== '4B'")
    play.click()
    tab.settle()
    assert tab.hash() == asked


def test_the_plane_moves_what_is_asked(tab: Tab) -> None:
    tab.page.locator("#preset").select_option("llama-2-7b")
    tab.settle()
    assert "d=2000000000000" in tab.hash()
    assert "Yours: lr 3e-4 at batch" in tab.said()
    plane = tab.page.locator("#plane-area")
    plane.click(position={"x": 150, "y": 150})
    tab.settle()
    moved = tab.hash()
    assert "d=2000000000000" not in moved
    plane.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.settle()
    assert tab.hash() != moved


def test_the_ladder_keeps_a_batch_and_knows_the_gpus(browser: Any, dense: Path) -> None:
    tab = Tab(browser, dense, "#n=13e9&d=1e12&seq=8192")
    tab.type("gpus", "512")
    head = tab.page.locator("#ladder thead").inner_text()
    assert "seqs a GPU" in head
    assert "days for 6 N D" in tab.page.locator("#decide-body").inner_text()
    row = tab.page.locator("#ladder tbody tr", has=tab.page.get_by_text("8Mi"))
    cells = row.locator("th, td").all_inner_texts()
    ladder = fit_support.bundled().plateau(params=13e9, tokens=1e12).decision.ladder
    assert ladder is not None
    rung = next(r for r in ladder if r.batch == 2**23)
    assert cells[1] == "1,024"
    assert cells[2] == f"{rung.lr:.1e}".replace("e-0", "e-")
    assert float(cells[4].split()[0]) == pytest.approx(100 * rung.share, rel=0.05)
    row.get_by_role("button").click()
    tab.settle()
    assert "at your batch 8Mi" in tab.said()
    assert "Keeping that batch costs" in tab.said()
    tab.page.get_by_role("button", name="Megatron-LM").click()
    assert "--global-batch-size 1024" in tab.page.locator("#config").inner_text()
    tab.close()


def test_each_cell_is_drawn_by_the_refit_that_never_saw_it(tab: Tab) -> None:
    assert tab.page.locator(".cellmap").count() == 0
    tab.page.locator("#holds").scroll_into_view_if_needed()
    tab.wait("document.querySelectorAll('.cellmap').length === 17")
    outside = tab.page.locator(".cellmap b").count()
    said = tab.page.locator("#held-said").inner_text()
    assert (
        f"Of 17 cells the best run lies inside the predicted plateau in {17 - outside}"
        in said
    )
    tab.page.locator("#runs").scroll_into_view_if_needed()
    tab.page.wait_for_selector("#runs-table tbody tr")
    losses = tab.page.locator("#runs-table tbody tr td:nth-child(4)").all_inner_texts()
    assert losses[:9] == sorted(losses[:9])
    tab.page.locator("#runs-table tbody tr").nth(2).hover()
    assert tab.page.locator("#map-area .brushed").count() == 1


def test_a_second_report_is_laid_over(tab: Tab, dense: Path, tmp_path: Path) -> None:
    (tmp_path / "no.html").write_text("<p>nothing</p>")
    said = tab.page.locator("#second-said")
    tab.page.set_input_files("#second-file", tmp_path / "no.html")
    tab.wait("document.getElementById('second-said').textContent")
    assert said.inner_text() == "no.html is no report of surrogate."
    tab.page.set_input_files("#second-file", dense)
    tab.page.wait_for_selector("#map-area .second", state="attached")
    assert "1 and 1 times this fit's" in said.inner_text()
    assert "loses 0 %" in said.inner_text()


def test_the_robust_plateau_is_a_closed_region(browser: Any, dense: Path) -> None:
    """Where a scan line has two pieces, as 7B x 140B, it was a stack of dashes."""
    tab = Tab(browser, dense, "#n=7000000000&d=140000000000")
    drawn = tab.page.locator("#map-area .robust")
    outline = drawn.get_attribute("d")
    assert outline.count("M") == outline.count("Z") <= 3
    box, rows = drawn.bounding_box(), tab.rows()
    assert box["width"] > 100
    assert "to" in rows["learning rate in 90% of draws"]
    tab.close()


def test_an_interval_beyond_the_map_ends_in_an_arrow(
    browser: Any, dense: Path, tmp_path: Path
) -> None:
    fitted = fit_support.bundled()
    leaves = fitted.theta + 40 * (fitted.leaves - fitted.theta)
    # Without what was tried about each optimum, or so wide an interval is no answer.
    cells = tuple(replace(cell, around={}) for cell in fitted.cells)
    write(replace(fitted, leaves=leaves, cells=cells), tmp_path / "wide.html")
    for file, arrows in ((dense, 0), (tmp_path / "wide.html", 4)):
        tab = Tab(browser, file)
        assert tab.page.locator("#map-area .interval").count() == 6
        assert tab.page.locator("#map-area .onward").count() == arrows
        legend = tab.page.locator("#map-under .legend").inner_text()
        assert ("beyond the map at an arrow" in legend) == (arrows > 0)
        tab.close()


def test_every_control_is_reached_by_the_keyboard(tab: Tab) -> None:
    seen = set()
    for _ in range(48):
        tab.page.keyboard.press("Tab")
        seen.add(
            tab.page.evaluate(
                "(() => { const a = document.activeElement; return a.dataset.key || "
                "a.id || a.dataset.view || a.dataset.config || a.textContent; })()"
            )
        )
    wanted = {"params", "tokens", "seq", "tol", "lr", "batch", "map-area", "preset"}
    wanted |= {"plane-area", "gpus", "gpu", "keep", "torchtitan", "near", "Print"}
    assert wanted <= seen


BOXES = """() => {
  const ids = ["lines", "map-area", "profile-lr", "profile-batch", "map-under",
    "plane-body", "cautions", "decide-body", "take-body", "numbers", "scores-body"];
  return Object.fromEntries(ids.map((id) => {
    const r = document.getElementById(id).getBoundingClientRect();
    return [id, [r.left, r.top + scrollY, r.right, r.bottom + scrollY]];
  }).filter(([, [a, b, c, d]]) => c > a && d > b));
}"""


@pytest.mark.parametrize("width", [390, 640, 900, 1280, 1920])
def test_nothing_overlaps_and_the_answer_and_map_come_first(
    browser: Any, dense: Path, width: int
) -> None:
    height = 844 if width == 390 else 800
    asked = "#n=7e9&d=2e12&lr=3e-4&b=4194304&gpus=512"
    how = {"viewport": {"width": width, "height": height}}
    tab = Tab(browser, dense, asked, **how)
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = tab.page.evaluate(BOXES)
    names = list(boxes)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            (a, b, c, d), (e, f, g, h) = boxes[one], boxes[other]
            assert min(c, g) - max(a, e) < 1 or min(d, h) - max(b, f) < 1, (one, other)
        assert boxes[one][0] >= 0
        assert boxes[one][2] <= width + 1
    if width in (390, 1280):
        assert boxes["map-area"][3] <= height
    cut = tab.page.evaluate(
        "[...document.querySelectorAll('input.bracket')].filter((e) => e.scrollWidth "
        "> e.clientWidth + 1).map((e) => e.dataset.key)"
    )
    assert cut == []
    tab.close()


def test_page_fits_a_phone_in_the_dark_with_targets_for_thumbs(
    browser: Any, dense: Path
) -> None:
    how = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
    tab = Tab(browser, dense, "#n=7e9&d=2e12", **how, has_touch=True)
    colour = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(20, 22, 26)"
    small = tab.page.evaluate(
        "[...document.querySelectorAll('button, input, select')].map((e) => [e, "
        "e.getBoundingClientRect()]).filter(([, r]) => r.width && (r.width < 43.5 || "
        "r.height < 43.5)).map(([e]) => e.outerHTML.slice(0, 90))"
    )
    assert small == []
    tab.page.mouse.wheel(0, 2500)
    tab.page.wait_for_timeout(300)
    assert "lr 6.4e-4, batch 3Mi for 7B on 2T" in tab.page.locator("#bar").inner_text()
    tab.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, dense: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab = Tab(browser, dense, "#lr=3e-4&b=1048576&gpus=64", color_scheme=scheme)
    for place in ("holds", "runs"):
        tab.page.locator(f"#{place}").scroll_into_view_if_needed()
        tab.page.wait_for_timeout(300)
    tab.wait("document.querySelectorAll('.cellmap').length === 17")
    result = axe.Axe().run(tab.page)
    found = [v for v in result.response["violations"]]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found] == []
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
    shown += "".join(tab.page.locator("#basis").all_text_contents())
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
    assert tab.page.locator(".profile svg").count() == len(fitted.features.choices)
    tab.close()
