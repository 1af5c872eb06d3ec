"""One client: its mailbox, its one stream, its writer and its queries."""
