"""Checkpoints taken home from the page."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.browser.browser import Browser
from tests.models import tiny_model

pytestmark = pytest.mark.heavy


def downloaded(browser: Browser, job: Any, button: str, config: str, directory: Path) -> Path:
    """What the button of the newest checkpoint gives, unpacked: the directory with this file."""
    browser.open(f"/jobs/{job.id}")
    before = set(browser.downloads.glob("*.tar"))
    browser.press(button)
    tar = browser.until(lambda: next(iter(set(browser.downloads.glob("*.tar")) - before), None))
    with tarfile.open(tar) as archive:
        archive.extractall(directory, filter="data")
    return next(directory.rglob(config)).parent


def test_a_downloaded_model_can_be_loaded(browser: Browser, job: Any, tmp_path: Path) -> None:
    directory = downloaded(browser, job, "Merged", "config.json", tmp_path)
    model = AutoModelForCausalLM.from_pretrained(directory)
    tokens = AutoTokenizer.from_pretrained(directory)("a word", return_tensors="pt")
    assert bool(torch.isfinite(model(**tokens).logits).all())


def test_a_downloaded_adapter_changes_the_base_model(browser: Browser, job: Any, tmp_path: Path) -> None:
    directory = downloaded(browser, job, "Adapter", "adapter_config.json", tmp_path / "adapter")
    base = tiny_model(tmp_path / "base")
    tokens = AutoTokenizer.from_pretrained(base)("a word", return_tensors="pt")
    before = AutoModelForCausalLM.from_pretrained(base)(**tokens).logits
    after = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), directory)(**tokens).logits
    assert before.shape == after.shape
    assert not torch.equal(before, after)
