"""Secrets of a configuration do not come out again."""

from __future__ import annotations

from core.jobs.secrets import MASK, masked

ENDPOINT = {"type": "endpoint", "url": "https://x", "headers": {"Authorization": "s"}, "signing_secret": "whsec_s"}
HIDDEN = {"type": "endpoint", "url": "https://x", "headers": {"Authorization": MASK}, "signing_secret": MASK}


def test_values_of_headers_and_signing_secrets_are_masked() -> None:
    assert masked(ENDPOINT) == HIDDEN


def test_masking_reaches_members_and_lists() -> None:
    assert masked([{"graders": {"a": ENDPOINT}}]) == [{"graders": {"a": HIDDEN}}]


def test_a_member_may_be_called_headers() -> None:
    member = {"type": "string_check", "input": "x"}
    assert masked({"graders": {"headers": member}}) == {"graders": {"headers": member}}


def test_absent_headers_stay_absent() -> None:
    assert masked({"headers": None, "url": "https://x"}) == {"headers": None, "url": "https://x"}


def test_headers_of_an_unexpected_shape_are_masked_whole() -> None:
    assert masked({"headers": [["Authorization", "s"]]}) == {"headers": MASK}
