"""The viewer in a real browser: the page loads, a control moves, a new picture arrives, an error is shown."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from builders import HEIGHT, WIDTH
from published_scene import publish_everything

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytest.importorskip("viser", reason="viser is not installed")
CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not installed"),
    # selenium and the standard library leave sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=640,480",
)
PICTURES = "return [...document.querySelectorAll('img')].map(image => image.src).filter(src => src.startsWith('blob:'))"
DEADLINE_S = 300.0  # generous, because it is only met when something is broken
T = TypeVar("T")


def wait_for(look: Callable[[], T], what: str) -> T:
    """The first answer of `look` that is true."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen in {DEADLINE_S} s")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_everything(tmp_path_factory.mktemp("viewer") / "wall <b>&")


@pytest.fixture(scope="module")
def viewer(scene: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`gsstereo view` with all of its parts, and where it listens."""
    command = [sys.executable, "-m", "gs_stereo.cli.main", "view", str(scene), "--port", "0", "--json"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Tests that run in the background of a shell ignore Ctrl-C, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        yield process, json.loads(line)["url"]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def browser(viewer: tuple[subprocess.Popen[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    options = webdriver.ChromeOptions()
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.binary_location = CHROMIUM
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=CHROMEDRIVER))
    try:
        driver.get(viewer[1])
        yield driver
    finally:
        driver.quit()


def push_slider_to_its_end(browser) -> float:
    """Move the first slider with the keyboard; returns by what factor its value grew."""
    from selenium.webdriver.common.keys import Keys

    slider = wait_for(lambda: browser.find_elements("css selector", "[role=slider]"), "the slider")[0]
    before = float(slider.get_attribute("aria-valuenow"))
    browser.execute_script("arguments[0].focus()", slider)
    webdriver.ActionChains(browser).send_keys(Keys.END).perform()
    now = wait_for(lambda: (value := float(slider.get_attribute("aria-valuenow"))) > before and value, "the move")
    return now / before


def look_from_the_first_photo(browser) -> None:
    """Choose a photo as the left eye: the browser's own camera still moves while the page is loading."""
    boxes = browser.find_elements("css selector", "input[role=combobox]")
    next(box for box in boxes if box.get_attribute("value") == "The 3D view").click()

    def options() -> list:
        return [option for option in browser.find_elements("css selector", "[role=option]") if option.is_displayed()]

    wait_for(lambda: len(options()) > 1, "the list of photos")
    options()[1].click()


def median_disparity_px(browser) -> float | None:
    """Of the pair that is rendered at the size of the photos, as its caption says; None as long as another is shown."""
    shown = browser.execute_script("return document.body.innerText")
    found = re.search(rf"median (\S+) px \({WIDTH} x {HEIGHT} px", shown)
    return float(found[1]) if found else None


def test_moving_the_baseline_brings_another_pair(browser) -> None:
    wait_for(lambda: len(browser.execute_script(PICTURES)) >= 2, "the first pair")
    look_from_the_first_photo(browser)
    at_first = wait_for(lambda: median_disparity_px(browser), "the caption")
    before = browser.execute_script(PICTURES)
    grew = push_slider_to_its_end(browser)
    assert grew > 5
    wait_for(lambda: browser.execute_script(PICTURES)[0] != before[0], "another pair")  # the first one: left | right
    moved = wait_for(lambda: (now := median_disparity_px(browser)) != at_first and now, "another caption")
    assert moved == pytest.approx(grew * at_first, rel=0.02)


@pytest.mark.slow
def test_a_shard_that_breaks_meanwhile_is_a_notification(browser, scene: Path, viewer) -> None:
    for shard in (scene / "gsstereo" / "dataset" / "splat").glob("*.h5"):
        shard.write_bytes(shard.read_bytes()[:3000])
    boxes = browser.find_elements("css selector", "input[type=checkbox]")
    next(box for box in boxes if box.is_displayed() and not box.is_selected()).click()
    wait_for(lambda: "is corrupt" in browser.execute_script("return document.body.innerText"), "the notification")
    assert viewer[0].poll() is None


@pytest.mark.slow
def test_control_c_ends_it_cleanly(viewer) -> None:
    process, _ = viewer
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert out == ""
    assert "Traceback" not in err
