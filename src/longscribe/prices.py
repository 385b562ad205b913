"""Reads ``prices.toml``, the one place that holds a price."""

from functools import cache
from importlib import resources

import msgspec

from longscribe.core.costing import Prices


@cache
def load() -> Prices:
    """Return every price that longscribe knows."""
    text = resources.files("longscribe").joinpath("prices.toml").read_text(encoding="utf-8")
    return msgspec.toml.decode(text, type=Prices)
