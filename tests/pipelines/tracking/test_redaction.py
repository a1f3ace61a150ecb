"""What is said of MLflow has no password, and what is logged is no markup."""

from __future__ import annotations

import pytest

from pipelines.tracking import client, descriptions

SECRET = "hunter2x"


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(client.ServerUnavailableError) as caught:
        client._check_server(f"http://me:{SECRET}@127.0.0.1:1")
    assert "http://***@127.0.0.1:1" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("file:a.csv", "`file:a.csv`"),
        ("`<img src=x onerror=alert(1)>", "`` `<img src=x onerror=alert(1)> ``"),
        ("a``b`c\n\n# d", "```a``b`c # d```"),
        (f"https://me:{SECRET}@host/a", "`https://***@host/a`"),
    ],
)
def test_a_text_in_a_description_is_code_on_one_line(text: str, code: str) -> None:
    assert descriptions.code(text) == code
