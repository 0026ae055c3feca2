"""The sliders and the player of the lessons themselves: the keyboard moves them, the kernel follows."""

from __future__ import annotations

import ast
import operator
import re

from playwright.sync_api import expect

from benchmarks.canvases import pixels, wait_until_drawn, wait_until_redrawn


def number_in(text: str) -> int:
    """Give the first whole number of a text."""
    return int(re.search(r"\d+", text)[0])


def value_of(widget, label: str) -> float:
    """Read what is written beside a slider."""
    return float(widget.locator(".widget-slider", has_text=label).locator(".widget-readout").inner_text())


def check_fit(widget) -> None:
    """Fail if a widget can't be seen as a whole: JupyterLab shows 647 px of a notebook on this screen."""
    box = widget.bounding_box()
    assert box["width"] <= 960 and box["height"] <= 640, box


def test_player_plays_pauses_steps_and_seeks(front_end, results, picture):
    front_end.open("01_mount_data.ipynb")
    cell = front_end.run_to("players.play([movie_raw]")
    player = front_end.cell(cell).locator(".cw-player")
    screen, label = player.locator(".cw-picture"), player.locator(".cw-frame")
    expect(label).to_contain_text("frame 1 of 1000")
    first = screen.screenshot()
    picture(player, "player")
    check_fit(player)

    player.locator(".cw-play").click()
    expect(player.locator(".cw-play")).to_have_accessible_name("Pause")
    expect(label).not_to_contain_text(re.compile("frame [1-5] of"))
    player.locator(".cw-play").click()
    expect(player.locator(".cw-play")).to_have_accessible_name("Play")
    # No frame is on its way any more when the last that was wanted is there.
    expect(screen).to_have_attribute("data-frame", player.locator(".cw-time").input_value())
    paused = label.inner_text()
    assert front_end.ask(cell, "print(fr)")
    expect(label).to_have_text(paused)

    player.locator(".cw-forward").click()
    expect(label).to_contain_text(f"frame {number_in(paused) + 1} of")
    player.locator(".cw-back").click()
    expect(label).to_have_text(paused)
    player.locator(".cw-time").fill("500")
    expect(label).to_contain_text("frame 501 of 1000")
    assert screen.screenshot() != first


def test_tuner_follows_the_keyboard_and_writes(front_end, results, picture):
    front_end.open("03_corr_pnr.ipynb")
    cell = front_end.run_to("sliders.corr_pnr_tuner(")
    tuner = front_end.cell(cell).locator(".cw-tuner")
    count, busy, code = (tuner.locator(f".cw-{name}") for name in ("count", "busy", "code"))
    wait_until_drawn(tuner)
    picture(tuner, "tuner")
    check_fit(tuner)
    start = number_in(count.inner_text())

    tuner.locator(".bk-Figure").first.hover()
    reading = front_end.page.locator(".bk-Tooltip").first
    expect(reading).to_contain_text("row, column")
    expect(reading).to_contain_text(re.compile(r"cn\W*0\.\d{3}"))
    front_end.slider(tuner, "gSig").hover()
    expect(reading).to_be_hidden()

    for name in ("min_corr", "min_pnr"):
        for key, compare in (("End", operator.lt), ("Home", operator.gt)):
            before, drawn = count.text_content(), pixels(tuner)
            front_end.slider(tuner, name).press(key)
            expect(count).not_to_have_text(before)
            assert compare(number_in(count.inner_text()), number_in(before)), (name, key)
            wait_until_redrawn(tuner, drawn)
    assert number_in(count.inner_text()) > start

    before, drawn = count.text_content(), pixels(tuner)
    front_end.slider(tuner, "gSig").press("ArrowRight")
    front_end.slider(tuner, "gSig").press("ArrowRight")
    expect(code).to_contain_text("'gSig': (4, 4)")
    expect(busy).to_have_text("", timeout=30_000)
    expect(count).not_to_have_text(before)
    wait_until_redrawn(tuner, drawn)
    front_end.slider(tuner, "min_pnr").press("ArrowRight")
    expect(code).to_contain_text(f"'min_pnr': {value_of(tuner, 'min_pnr'):g}")

    shown = {name: value_of(tuner, name) for name in ("min_corr", "min_pnr")}
    tuner.get_by_role("button", name="Use these values").click()
    expect(tuner.locator(".cw-status")).to_contain_text("params.json")
    printed = front_end.run(front_end.find('print("gSig {gSig}'))
    written = dict(re.findall(r"(\w+) (\(\d+, \d+\)|[\d.]+)", printed))
    assert written["gSig"] == "(4, 4)"
    assert {name: round(float(written[name]), 2) for name in shown} == shown


def test_explorer_follows_the_keyboard_and_writes(front_end, results, picture):
    front_end.open("05_evaluation.ipynb")
    cell = front_end.run_to("sliders.evaluation_explorer(")
    explorer = front_end.cell(cell).locator(".cw-explorer")
    count = explorer.locator(".cw-count")
    wait_until_drawn(explorer)
    picture(explorer, "explorer")
    check_fit(explorer)
    for name, key in (("rval_thr", "End"), ("min_SNR", "End")):
        before, drawn = count.text_content(), pixels(explorer)
        front_end.slider(explorer, name).press(key)
        wait_until_redrawn(explorer, drawn)
    expect(count).not_to_have_text(before)
    shown = {name: value_of(explorer, name) for name in ("min_SNR", "rval_thr")}
    explorer.get_by_role("button", name="Use these values").click()
    expect(explorer.locator(".cw-status")).to_contain_text("params.json")
    asked = "print([opts.quality[name] for name in ('min_SNR', 'rval_thr')], len(estimates.idx_components))"
    values, _, accepted = front_end.ask(cell, asked).rpartition(" ")
    assert ast.literal_eval(values) == list(shown.values())
    assert count.inner_text().startswith(f"{accepted} of ")
