"""The proofs of what longscribe promises: ``make prove`` runs them, and writes what came of them."""
