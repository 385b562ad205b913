"""The stages in flow order: chunker, worker, assembler, reconciler. Plain functions of a message and ports."""
