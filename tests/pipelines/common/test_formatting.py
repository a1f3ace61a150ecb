"""Names and numbers as text."""

from __future__ import annotations

from pipelines.common.formatting import shorten


def test_a_list_up_to_the_limit_is_whole_and_a_longer_one_counts_the_rest() -> None:
    assert shorten("abc", 3) == "a, b, c"
    assert shorten("abcde", 3) == "a, b, c and 2 more"
    assert shorten(range(4), 2, separator=" ") == "0 1 and 2 more"
    assert shorten([], 3) == ""
