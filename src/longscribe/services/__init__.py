"""The stages as services on Google Cloud: what arrives over HTTP or Pub/Sub in, a stage's call, an answer out.

A service decides one thing: whether the sender is to come again. It returns for what is done or can never be done,
and raises `events.Retry` otherwise.
"""
