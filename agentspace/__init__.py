"""What other programs import: the messages of the wire, and what speaks it for them.

It imports nothing of the gateway's own rooms.
"""
