"""The Hugging Face Hub: what a repository of a run holds, and how it gets there while the run goes on."""
