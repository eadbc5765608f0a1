"""What the explorer's pages show, as typed data: pure functions of an open study, each bounded in what it reads.

The server's answers, the exported files and the report are these objects as JSON.
"""
