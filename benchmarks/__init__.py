"""Benchmarks: units with a known answer, speed and quality against nulls, each run by `glossator bench NAME`."""
