"""How well it speaks and learns: scripts that train or take a trained model, and judge it."""
