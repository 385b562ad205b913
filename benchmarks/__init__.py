"""Every figure that the README and the docs quote, one command each."""
