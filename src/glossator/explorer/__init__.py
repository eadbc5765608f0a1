"""The explorer: pages that show a study to people. For now one file that opens without a server."""
