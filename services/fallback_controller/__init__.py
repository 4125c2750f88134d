"""The fallback-controller actor: retries, the ladder, deadlines, cancels."""
