"""The segment-renderer actor: it has engines render segments."""
