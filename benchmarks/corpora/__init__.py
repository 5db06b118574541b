"""Speech beside the demo corpus, made out of packages and collections that others give away."""
