"""Trainers on the same model and batches, to compare what their loops cost."""
