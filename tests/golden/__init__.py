"""Frames that are looked at once by a person and compared for ever."""
