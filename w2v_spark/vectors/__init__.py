"""What people do with the vectors: ask, search, test."""
