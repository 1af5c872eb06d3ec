"""The gateway's WebSocket held against other people's tests: the parts of `scripts/autobahn`."""
