"""The media port: what pictures and documents weigh, and which are refused."""
