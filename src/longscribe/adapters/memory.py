"""What becomes of memory that is freed: a process with a model keeps it, one that cuts recordings gives it back."""

import ctypes
import mmap

HUGE_PAGE = 2 * 2**20
HEAP = 2**30
"""Bytes of addresses for the model and what it works with; glibc gives 2 GiB back at once."""

LARGE = 2**20
"""Bytes from which on a block is given back when it is freed: a decoded stretch and its copies have 4 MB each."""

# Names and numbers of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -3, -4, -8


def return_memory() -> None:
    """Let large blocks go back to the system as they are freed.

    By itself glibc keeps blocks of up to 32 MB once one as large was freed, and the holes between them add up: with
    its children a chunker takes 286 MB in place of 336 for 6.8 hours, and a second or two more. Other C libraries
    are left alone.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE)


def keep_memory() -> None:
    """Let freed memory stay with the process, in huge pages: the encoder takes and frees 70 MB for every layer.

    Measured with base: glibc's own way, a fresh mapping each time, costs 100,000 page faults a window and with them
    a quarter of the encoder's time. The peak does not grow. In pages of 2 MB, where Linux has them for who asks,
    the beam takes a tenth less processor time. Other C libraries are left alone. To be called before other threads
    are, whose arenas the model's lanes would get, and before the model is loaded.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_TOP_PAD, 64 * 2**20)
    libc.mallopt(_M_ARENA_MAX, 1)  # an arena of a thread's own cannot hold a block of more than 64 MB
    _in_huge_pages(libc)


def _in_huge_pages(libc: ctypes.CDLL) -> None:
    """Have the heap's next addresses in huge pages. Addresses alone: memory is taken when it is written to."""
    libc.sbrk.restype = libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = (ctypes.c_void_p,)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    start = -(-libc.sbrk(ctypes.c_ssize_t(0)) // HUGE_PAGE) * HUGE_PAGE
    libc.free(libc.malloc(ctypes.c_size_t(HEAP)))
    end = libc.sbrk(ctypes.c_ssize_t(0))
    if end - start >= HUGE_PAGE:
        libc.madvise(start, end - start, mmap.MADV_HUGEPAGE)
