"""A checkpoint taken home from the page."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.browser.tools.browser import Browser

pytestmark = pytest.mark.heavy


def test_a_downloaded_checkpoint_can_be_loaded(browser: Browser, job: Any, tmp_path: Path) -> None:
    browser.open(f"/jobs/{job.id}")
    browser.button("Merged").click()
    tar = browser.until(lambda: next(browser.downloads.glob("*.tar"), None))
    with tarfile.open(tar) as archive:
        archive.extractall(tmp_path, filter="data")
    directory = next(tmp_path.rglob("config.json")).parent
    model = AutoModelForCausalLM.from_pretrained(directory)
    tokens = AutoTokenizer.from_pretrained(directory)("a word", return_tensors="pt")
    assert bool(torch.isfinite(model(**tokens).logits).all())
