"""The course in a real browser: `course.py lab` opens at the first notebook, and running it from the top shows what it should."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest

from helpers import COURSE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: install one to test in a browser")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address, token included, of a running `course.py lab`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("lab") / "log"
    own = {name: str(log.parent / name) for name in ("JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR")}
    start = time.time()
    with open(log, "w") as file:
        server = subprocess.Popen(
            [sys.executable, "course.py", "lab", "--here", "--no-browser", "--port", str(port)],
            cwd=COURSE, stdout=file, stderr=file, env={**os.environ, **own},
        )
    try:
        while not (found := re.search(rf"http://127\.0\.0\.1:{port}/lab\S*\?token=\w+", log.read_text())):
            assert server.poll() is None and time.time() - start < 90, log.read_text()[-2000:]
            time.sleep(0.2)
        yield found.group()
    finally:
        server.terminate()
        server.wait(20)


def test_the_first_notebook_opens_and_runs_without_a_failing_cell(lab, tmp_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.route("**/api/contents/**", lambda route: route.abort() if route.request.method == "PUT" else route.continue_())
        page.goto(lab)
        page.get_by_role("heading", name=re.compile("Start here")).first.wait_for(timeout=60_000)
        assert "00_start_here.ipynb" in page.url or page.get_by_text("00_start_here.ipynb").count()
        assert page.get_by_role("dialog").count() == 0  # nothing to click away first
        done = page.locator(".jp-OutputArea").get_by_text("RAG basics: look it up")  # the last cell's
        page.get_by_role("menuitem", name="Edit", exact=True).click()
        page.get_by_role("menuitem", name="Clear Outputs of All Cells", exact=True).click()
        done.wait_for(state="detached")
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        done.wait_for(timeout=180_000)
        assert page.get_by_text("Would you like to get notified").count() == 0
        page.screenshot(path=tmp_path / "start.png")  # to look at after a failure
        assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0
        browser.close()
