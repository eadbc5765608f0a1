"""Benchmarks: units with a known answer, speed and quality against baselines, each run by `glossator bench NAME`."""
