"""The command line: what a person or a script says to Pytoon.

A command's module is imported when the command is called, and what is heavy inside it only when
it is needed: the first frame of a cold ``pytoon render`` waits for it.
"""
