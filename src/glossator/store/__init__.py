"""A study as a noun: its spec, its folder and its one SQLite file, written in one pass and queried from then on.

The command line, the report and the explorer read a study through this package alone; `glossator.study` makes one.
"""
