"""Before anything is spent: how long a recording will take, and what it will cost.

::

    survey ─▶ constants ─▶ simulation ─▶ estimate
    what is   measured,    chunker,      minutes and dollars,
    in a file quoted,      workers,      each from, likely, to
              assumed      assembler
"""
