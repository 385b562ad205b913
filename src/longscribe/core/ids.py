"""Identifiers by hash: the same recording and settings always give the same ids."""

import hashlib


def digest(*parts: str) -> str:
    """Return 20 hex digits that stand for ``parts``; each part's length is hashed too, so none can run over."""
    sha = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        sha.update(len(encoded).to_bytes(8, "big"))
        sha.update(encoded)
    return sha.hexdigest()[:20]


def job_id(bucket: str, name: str, generation: int) -> str:
    """Return the id of the job that transcribes one generation of one object."""
    return digest("job", bucket, name, str(generation))


def chunk_blob(job: str, index: int) -> str:
    """Return the object name of a chunk's audio; every run of the chunk reads the same."""
    return f"{job}/{index:06d}.flac"


def seed(job: str, index: int, window: int) -> int:
    """Return the seed (31 bits) for decoding one window with a temperature."""
    return int(digest("seed", job, str(index), str(window))[:8], 16) & 0x7FFF_FFFF
