"""Command-line scripts, run as python -m scripts.NAME key=value ..."""
