"""The stages as services on Google Cloud: what arrives over HTTP or Pub/Sub in, a stage's call, an answer out.

A service decides one thing: whether the sender is to come again. It answers 2xx for what is done or can never be
done, and raises `Retry` otherwise, without a word that could hold content: its platform logs what is raised.
"""


class Retry(Exception):
    """The event or message is to be delivered again; what went wrong has been logged."""
