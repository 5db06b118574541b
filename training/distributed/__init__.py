"""Where several processes train: what they settle together, and what becomes of one that is lost."""
