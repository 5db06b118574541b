"""What is written and not spelled as it is said: numbers, dates, times, money, units, abbreviations, in words.

reading.py has the order in which a text is gone through; each language's tables and its own ways are in its file.
"""
