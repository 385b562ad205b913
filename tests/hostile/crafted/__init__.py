"""Files made to do harm: each the work of a few lines, none kept.

A file is a function of the traps that it would like to spring.
"""

from collections.abc import Callable, Mapping

from tests.hostile.traps import Traps

Made = Callable[[Traps], bytes]
Files = Mapping[str, Made]
