"""Measurements: beside what a user would pick instead and beside the floor, interleaved in one run."""
