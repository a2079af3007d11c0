"""What holds of every page."""

import re


def loads_nothing(text: str) -> None:
    """Nothing on it comes from elsewhere."""
    assert "://" not in text
    assert not re.search(r"<(script|link|iframe)\b", text)
    for source in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert source.startswith(("data:image/png;base64,", "#")), source[:80]
    assert "@import" not in text
    assert "url(http" not in text


def unique_ids(text: str) -> None:
    """Ids of the drawings are there once, and there where they are used."""
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert ids
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="#([^"]*)"', text) + re.findall(r"url\(#(.*?)\)", text)
    assert {*used} == {*ids}
