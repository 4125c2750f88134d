"""The assembler actor: it mixes the sound, joins the film and judges it.

The actor only; the media toolkit that it calls through the studio is the top-level package
``assembler``.
"""
