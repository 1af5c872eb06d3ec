"""HTTP/1.1 for the one request whose answer is a stream, straight on the socket.

The HTTP library's own way costs some 200 calls for each piece of an answer, and more for each
request the more streams are open. What it raises is raised here, too.
"""
