"""Every bound in one place: checked before work is done, never after.

Times are in samples at 16 kHz unless a name ends in ``_SECONDS``.
"""

SAMPLE_RATE = 16_000
"""Hz. Whisper's input rate; webrtcvad takes it too."""

FRAME = SAMPLE_RATE // 100
"""Samples in one 10 ms analysis frame, webrtcvad's shortest."""

WINDOW = 30 * SAMPLE_RATE
"""The most audio one window holds. Whisper pads or cuts every input to 30 s (its ``N_SAMPLES``)."""

GRID = 120 * SAMPLE_RATE
"""Decoding ranges begin at multiples of this, so the plan does not depend on how many decode at once."""

MIN_CHUNK_SECONDS = 10.0
MAX_CHUNK_SECONDS = 300.0
"""Bounds of the chunk length setting: seconds of speech a chunk may hold."""

MAX_CHUNK_EXTENT = 600 * SAMPLE_RATE
"""The longest a chunk's audio may be, pauses included, from its first speech on: bounds memory and blob size."""

MAX_RECORDING_BYTES = 64 * 2**30
MAX_RECORDING_SECONDS = 48 * 3600
MAX_CHANNELS = 32
MIN_SOURCE_RATE = 2_000
MAX_SOURCE_RATE = 768_000
MAX_CHUNKS = 20_000
"""48 hours of 10 s chunks, rounded up."""

MAX_MESSAGE_BYTES = 4 * 2**20
"""gRPC's default bound on one message, below Pub/Sub's 10 MB."""

MAX_NAME_BYTES = 1_024
"""The longest object name Google Cloud Storage allows, in UTF-8."""

MAX_VOCABULARY_TERMS = 100
MAX_TERM_CHARACTERS = 60

MIN_DECODE_WORKERS = 1
MAX_DECODE_WORKERS = 16

LEASES = 4
MAX_LEASES = 16
"""Chunks a worker holds for each call that its device computes at once (a GPU one, a processor one a core), and the
most it may be told to."""

LEASE_SECONDS = 60.0
"""How long a lease lasts; it is renewed at a third of this."""

MAX_ATTEMPTS_EMBEDDED = 5
MAX_ATTEMPTS_CLOUD = 10
"""Deliveries before a chunk is dead-lettered. In the cloud a preemption is an attempt too."""

LOST_SECONDS = 900.0
"""How long a job with pending chunks may be silent before their messages are doubted; doubled by each sending.
Longer than a message may rightly be away: Pub/Sub's longest pause before a redelivery (600 s), a lease (60 s), and
a worker's four chunks of five minutes of speech at 9 x real time (133 s)."""

SETTLE_SECONDS = 600.0
"""How long an assembler may be at a job's end: Pub/Sub pushes wait no longer for an answer."""

REPLAY_SECONDS = 300.0
"""How long a finished job must be silent before its replay counts as over: a lease and a worker's four chunks, and
then some."""

CHUNKER_SECONDS = 1_800.0
"""How long a recording that is being cut may give no chunk: 48 hours without speech are searched in half of it, at
8 s an hour for decoding and 10 s for the slower speech detector, on one core."""

MISSED_SECONDS = 900.0
"""How long an upload may have no job before its event is taken for lost, and between two looks for such uploads.
Longer than Pub/Sub's longest pause before a redelivery (600 s)."""

MISSED_FOR_SECONDS = 86_400.0
"""How old an upload may be and still be looked for: Eventarc keeps an event for no longer."""

JOB_SECONDS = 86_400.0
"""After this long a job ends with what it has: its cutting counted from its creation, all else from its last move.
The longest recording (48 hours) keeps a single worker at 9 x real time busy for a quarter of it."""
