"""JSON schemas of the request, the plan and every event, generated from the types.

``python -m schemas`` writes them beside this module; ``python -m schemas --check`` says which are
stale.  Nobody edits them by hand.
"""
