"""Errors: one that another process raised is told here as it was told there."""

from __future__ import annotations

import pytest

from w2v_spark import errors


def test_an_extra_is_installed_from_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors.sys, "executable", "/my checkout/.venv/bin/python")
    assert str(errors.MissingExtraError("a picture", "plot")) == (
        "a picture requires extra 'plot': install it with '/my checkout/.venv/bin/python' -m pip install -e '.[plot]' "
        "in the checkout of w2v_spark"
    )


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_another_process_is_rebuilt(kind: type[errors.W2VError]) -> None:
    raised = kind("training", "spark") if kind is errors.MissingExtraError else kind("what to do")
    found = errors.rebuilt(kind.__name__, str(raised))
    assert str(found) == str(raised)
    assert type(found) is (errors.W2VError if kind is errors.MissingExtraError else kind)
