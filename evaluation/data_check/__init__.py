"""What a corpus is like and what is wrong with it, before it is trained on.

    rows, read as in training -> sample, decoded -> findings -> text, page, list of rows to leave out

`check` is the whole of it (train_main.py --check-data), `brief` the few lines at the start of every run.
"""
