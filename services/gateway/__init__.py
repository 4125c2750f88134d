"""The gateway: REST, server-sent events and a page, as readers and writers of the log.

It keeps no state: it publishes what clients ask and reads the log for what became of it.  Like
the four actors it knows them only through their events.
"""
