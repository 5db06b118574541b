"""Every kind of corpus as a stream of rows, and which of them are whose."""
