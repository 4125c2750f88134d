"""The planner actor.

It judges a request, fixes its film frame by frame, and feeds the renderers.
"""
