"""The embedded default's stores: a directory for blobs, SQLite for the queue and the jobs."""
