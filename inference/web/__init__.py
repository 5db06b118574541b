"""The page to listen, in a browser of this computer."""
