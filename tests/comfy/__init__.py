"""A ComfyUI server for tests: it answers as the captured real one did, makes films, and errs."""
