"""The media toolkit: from stills, words and tracks to a finished MP4.

``produce`` has the jobs that worker processes do; ``timeline`` cuts the film into whole frames,
``film`` draws any of them, ``encode``, ``sound`` and ``join`` make the file, ``verdict`` judges
it.  Nothing here knows of events' order, stores, services or the network.  (``services/assembler``
is the actor that has films assembled.)
"""
