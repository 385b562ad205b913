"""The chunker as a job, for recordings that take longer than a function may: the event comes in the environment."""

import os

from longscribe import wiring_cloud
from longscribe.adapters.gcp.run import EVENT_VARIABLE
from longscribe.messages import UploadEvent, decode

if __name__ == "__main__":
    wiring_cloud.chunking().run(decode(os.environ[EVENT_VARIABLE].encode(), UploadEvent))
